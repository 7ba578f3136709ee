"""Every neuron of Sinabs with drawn options and parameters: the oracle is its own forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sinabs.layers as sl
import torch
from numpy.random import Generator
from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike
from sinabs.layers.alif import ALIFSqueeze
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import IntegrateAndFire, LeakyIntegrateAndFire, from_sinabs

BATCH, STEPS, SHAPE = 2, 12, (3, 2, 2)
#: Draws of each class.
DRAWS = 40
RECURRENT = ("ALIFRecurrent", "IAFRecurrent", "LIFRecurrent")
CLASSES: dict[str, Callable[..., Any]] = {
    **{name: getattr(sl, name) for name in ("ALIF", "ExpLeak", "IAF", "LIF", *RECURRENT)},
    "ALIFSqueeze": ALIFSqueeze, "ExpLeakSqueeze": sl.ExpLeakSqueeze, "LIFSqueeze": sl.LIFSqueeze,
}  # fmt: skip


def spread(rng: Generator, low: float, high: float) -> Any:
    """One number, or a tensor of one, one a channel, or one a neuron."""
    shape = [None, (), (3, 1, 1), SHAPE][rng.integers(4)]
    values = rng.uniform(low, high, () if shape is None else shape)
    return float(values) if shape is None else torch.tensor(values, dtype=torch.float32)


def options(rng: Generator, name: str) -> dict[str, Any]:
    """Drawn arguments of a class."""
    found: dict[str, Any] = {}
    if not name.startswith("IAF"):
        found |= {"tau_mem": spread(rng, 1.5, 20), "norm_input": bool(rng.integers(2))}
        if not name.startswith("ALIF"):  # whose `train_alphas` cannot be built without tau_syn's parameter
            found["train_alphas"] = bool(rng.integers(2))
    if rng.random() < 0.5 and not name.startswith("ExpLeak"):
        found["tau_syn"] = 4.5 if name.startswith("ALIF") else spread(rng, 1.5, 10)  # ALIF asks `if tau_syn`
    if not name.startswith("ExpLeak"):
        found["spike_threshold"] = torch.as_tensor(spread(rng, 0.3, 1.5), dtype=torch.float32)
        found["spike_fn"] = [SingleSpike, MultiSpike, MaxSpike(3), MaxSpike()][rng.integers(4)]
        own = float(rng.uniform(-0.5, 0.5))
        resets = [MembraneSubtract(), MembraneSubtract(abs(own)), MembraneReset(), MembraneReset(own)]
        found["reset_fn"] = resets[rng.integers(4)]
        if rng.random() < 0.5:
            found["min_v_mem"] = float(rng.uniform(-1, 0))
    if name.startswith("ALIF"):
        found |= {"tau_adapt": spread(rng, 2, 30), "adapt_scale": spread(rng, 0.1, 2)}
    if name.endswith("Recurrent"):
        found["rec_connect"] = connection(rng)
    if name.endswith("Squeeze"):
        found["batch_size"] = BATCH
    return found


def connection(rng: Generator) -> nn.Module:
    """A recurrent connection on (3, 2, 2), with a bias or without."""
    bias = bool(rng.integers(2))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 12, bias=bias))
    found = [flat, nn.Conv2d(3, 3, 3, padding=1, bias=bias), nn.Sequential(*flat, nn.Unflatten(1, SHAPE), nn.Dropout())]
    return found[rng.integers(3)]


def frames_of(rng: Generator) -> Any:
    return rng.uniform(-0.6, 1.2, (BATCH, STEPS, *SHAPE)).astype(np.float32)


def own_forward(module: nn.Module, frames: Any, squeezed: bool) -> Any:
    """What it gives from a fresh state, [B, T, ...]."""
    for part in module.modules():
        if isinstance(part, sl.StatefulLayer):
            part.reset_states()
    with torch.no_grad():
        given = torch.from_numpy(frames)
        out = module.eval()(given.flatten(0, 1) if squeezed else given)
    return out.reshape(BATCH, STEPS, -1).numpy()


@pytest.mark.parametrize("name", CLASSES)
def test_every_neuron_of_sinabs_computes_what_its_own_forward_does(name: str) -> None:
    """Spikes and membrane potentials, and what the judge says; neurons where the last bit decides are counted."""
    apart, total, fired, largest = 0, 0, 0.0, 0.0
    for seed in range(DRAWS):
        rng = np.random.default_rng([seed, *name.encode()])
        torch.manual_seed(seed)
        drawn = options(rng, name)
        module, frames = CLASSES[name](**drawn), frames_of(rng)
        theirs = own_forward(module, frames, name.endswith("Squeeze"))
        network = from_sinabs(nn.Sequential(module), SHAPE, example=frames)
        assert any("compared with Sequential.forward" in note.text for note in network.notes)
        trace = network.run(frames)
        fires = not name.startswith("ExpLeak")
        wrong = (np.abs(trace.output - theirs) > (0 if fires else 1e-5)).any(axis=1)
        apart, total, fired = apart + int(wrong.sum()), total + wrong.size, fired + float(theirs.sum())
        reset = drawn.get("reset_fn")
        shift = reset.reset_value if isinstance(reset, MembraneReset) and reset.reset_value else 0.0
        ended = trace.states[network.outputs[0]]["v_mem"].reshape(BATCH, -1) + shift
        held = module.v_mem.detach().numpy().reshape(BATCH, -1)
        largest = max(largest, float(np.abs(ended - held)[~wrong].max() / max(1, np.abs(held).max())))
    assert fired > 100
    assert largest < 1e-4
    assert apart <= total / 500, f"float32 decided in {apart} of {total} neurons"


@pytest.mark.parametrize("name", ["IAF", "IAFRecurrent"])
def test_an_iaf_with_the_options_of_integrate_and_fire_stays_that_bit_for_bit(name: str) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        given: dict[str, Any] = {
            "spike_threshold": torch.tensor(rng.uniform(0.3, 1.5), dtype=torch.float32),
            "spike_fn": [SingleSpike, MultiSpike, MaxSpike(3)][rng.integers(3)],
            "reset_fn": [MembraneSubtract(), MembraneReset()][rng.integers(2)],
            "min_v_mem": [None, -1.0][rng.integers(2)],
        }
        if name == "IAFRecurrent":
            given["rec_connect"] = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        module, frames = CLASSES[name](**given), frames_of(rng)
        network = from_sinabs(nn.Sequential(module), SHAPE)
        assert isinstance(network.layers[-1].op, IntegrateAndFire)
        assert [note.text for note in network.notes if note.layer] == []
        np.testing.assert_array_equal(network.run(frames).output, own_forward(module, frames, False))


def test_leaky_neurons_without_current_bound_or_value_are_equal_bit_for_bit_and_others_say_why_not() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        module = sl.LIF(
            tau_mem=spread(rng, 1.5, 20), norm_input=bool(rng.integers(2)), train_alphas=bool(rng.integers(2))
        )
        frames = frames_of(rng) * 3
        network = from_sinabs(nn.Sequential(module), SHAPE)
        assert [note.text for note in network.notes if note.layer] == []
        trace = network.run(frames)
        np.testing.assert_array_equal(trace.output, own_forward(module, frames, False))
        np.testing.assert_array_equal(trace.states["0"]["v_mem"], module.v_mem.detach().numpy())
    for given in ({"tau_syn": 5.0}, {"min_v_mem": -1.0}, {"reset_fn": MembraneReset(0.1)}):
        notes = [note.text for note in from_sinabs(nn.Sequential(sl.LIF(10.0, **given)), SHAPE).notes if note.layer]
        assert len(notes) == 1
        assert "float32 rounds otherwise" in notes[0]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (lambda: sl.ExpLeak(tau_mem=5.0, min_v_mem=-1.0), "'0' has a lower bound, min_v_mem, that its output does not"),
        (lambda: sl.LIF(tau_mem=torch.ones(5)), r"'0' has 5 decays of shape \(5,\) for neurons of shape \(3, 2, 2\)"),
        (lambda: sl.LIF(5.0, spike_threshold=torch.tensor(-1.0)), "'0': spike threshold is -1"),
        (lambda: sl.LIF(5.0, spike_fn=int), "'0' spikes by int of builtins"),
        (lambda: sl.LIF(5.0, reset_fn=max), "'0' resets by .*max"),
        (lambda: sl.ALIF(5.0, 5.0, adapt_scale=-1.0, spike_fn=MultiSpike), "'0' lowers its threshold by 1 a spike"),
        (lambda: sl.LIFRecurrent(5.0, nn.BatchNorm2d(3)), r"'0.rec_connect.0' is a BatchNorm2d"),
        (lambda: sl.LIFRecurrent(5.0, nn.Linear(2, 2)), r"layer '0.rec_connect.0' takes 2 inputs"),
        (lambda: sl.LIFRecurrent(5.0, nn.Sequential(nn.Flatten(), nn.Linear(12, 5))), "gives shape"),
        (lambda: sl.SpikingMaxPooling2dLayer(2), "is a SpikingMaxPooling2dLayer"),
        (sl.NeuromorphicReLU, "is a NeuromorphicReLU"),
    ],
)
def test_what_has_no_counterpart_is_refused_with_its_reason(module: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises((UnsupportedError, InputError), match=words):
        from_sinabs(nn.Sequential(module()), SHAPE)


class Timed(nn.Module):
    """Batch and time as two axes, with convolutions in between."""

    def __init__(self, rng: Generator) -> None:
        super().__init__()
        self.first, self.last = sl.Repeat(nn.Conv2d(3, 4, 2)), nn.Linear(4, 5)
        self.fire, self.leak = sl.LIF(float(rng.uniform(2, 9))), sl.ExpLeak(tau_mem=8.0)
        self.flat = nn.Flatten(2)

    def forward(self, x: Any) -> Any:
        return self.leak(self.last(self.flat(self.fire(self.first(x)))))


def test_repeat_flatten_time_and_unflatten_time_are_layouts_not_layers() -> None:
    """A last linear layer without neurons, too."""
    rows: list[nn.Module] = [
        nn.Sequential(
            sl.FlattenTime(), nn.Conv2d(3, 4, 2), sl.UnflattenTime(BATCH), sl.LIF(4.0, norm_input=False),
            sl.FlattenTime(), nn.Flatten(), sl.UnflattenTime(BATCH), nn.Linear(4, 5),
        ),
        nn.Sequential(sl.Repeat(nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten())), sl.LIF(4.0), nn.Linear(4, 5)),
        Timed(np.random.default_rng(0)),
    ]  # fmt: skip
    for seed, module in enumerate(rows):
        frames = frames_of(np.random.default_rng(seed)) * 2
        network = from_sinabs(module, SHAPE, example=frames)
        assert "compared with" in network.notes[-1].text
        np.testing.assert_allclose(network.run(frames).output, own_forward(module, frames, False), rtol=1e-5, atol=1e-6)
    for wrong in (
        (nn.Conv2d(3, 4, 2), sl.UnflattenTime(BATCH), sl.LIFSqueeze(batch_size=BATCH, tau_mem=5.0)),
        (sl.FlattenTime(), sl.LIF(5.0)),
        (sl.Repeat(sl.LIF(5.0)),),
        (sl.LIF(5.0), nn.Conv2d(3, 4, 2)),
        (sl.LIFRecurrent(5.0, nn.Conv2d(3, 3, 1)), nn.Conv2d(3, 4, 2)),
    ):
        with pytest.raises(UnsupportedError, match=r"\[B \* T, ...\]"):
            from_sinabs(nn.Sequential(*wrong), SHAPE)
    with pytest.raises(UnsupportedError, match=r"use nn\.Flatten\(2\)"):
        from_sinabs(nn.Sequential(sl.LIF(5.0), nn.Flatten()), SHAPE)


@pytest.mark.parametrize("seed", range(10))
def test_layers_between_neurons_are_read_as_they_compute(seed: int) -> None:
    """MaxPool2d, Conv1d, padding="same", pools whose windows overlap."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    pools = [nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1), sl.SumPool2d(2, 1), nn.AvgPool2d(2, 1), nn.AvgPool2d(3, 2, 1)]
    pool = pools[seed % len(pools)]
    module: nn.Module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=["same", "valid"][seed % 2]), sl.LIFSqueeze(tau_mem=5.0, batch_size=BATCH), pool,
        nn.Flatten(), nn.LazyLinear(6),
    ).eval()  # fmt: skip
    frames = rng.uniform(-1, 3, (BATCH, STEPS, 3, 8, 8)).astype(np.float32)
    theirs = own_forward(module, frames, True)
    network = from_sinabs(module, (3, 8, 8), example=frames)
    np.testing.assert_allclose(network.run(frames).output, theirs, rtol=1e-4, atol=1e-5)
    row = nn.Sequential(
        nn.Conv1d(3, 4, 3, 2, 1), sl.LIFSqueeze(tau_mem=3.0, batch_size=BATCH), nn.Flatten(), nn.Linear(16, 5)
    )
    line = rng.uniform(-1, 3, (BATCH, STEPS, 3, 8)).astype(np.float32)
    np.testing.assert_allclose(
        from_sinabs(row, (3, 8), example=line).run(line).output, own_forward(row, line, True), rtol=1e-4, atol=1e-5
    )


class Branching(nn.Module):
    """What people write between layers."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way, self.drop = way, nn.Identity()
        self.a, self.b, self.norm = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.fire = sl.LIFSqueeze(tau_mem=5.0, batch_size=BATCH, norm_input=False)
        self.last = nn.Linear({"cat": 32, "twice": 32, "a view": 12}.get(way, 16), 5)

    def forward(self, x: Any) -> Any:
        out = self.drop(x) if self.way == "a view" else self.norm(self.a(x))
        if self.way == "+=":
            out += self.b(x)
        elif self.way == "cat":
            out = torch.cat([out, self.b(x)], dim=1)
        elif self.way == "a view":
            out += x
        elif self.way == "used again":
            other = out
            out += self.b(x)
            out = out + other
        elif self.way == "twice":
            out = torch.cat([out, out], dim=1)
        return self.last(self.fire(out).flatten(1))


def test_sums_in_place_and_channels_side_by_side_are_read_where_nothing_else_is_changed() -> None:
    frames = frames_of(np.random.default_rng(3)) * 2
    for way in ("+=", "cat"):
        module: Any = Branching(way).eval()
        theirs = own_forward(module, frames, True)
        network = from_sinabs(module, SHAPE, example=frames)
        assert {"Add" if way == "+=" else "Concat"} <= {type(layer.op).__name__ for layer in network.layers}
        np.testing.assert_allclose(network.run(frames).output, theirs, rtol=1e-4, atol=1e-5)
    for way, word in (("a view", "iadd"), ("used again", "iadd"), ("twice", "cat")):
        with pytest.raises(UnsupportedError, match=f"uses {word}"):
            from_sinabs(Branching(way), SHAPE)


def test_the_record_says_what_sinabs_computes() -> None:
    """LIF with its defaults, by hand: alpha = exp(-1 / tau), the input times 1 - alpha, n thresholds taken off."""
    op = from_sinabs(nn.Sequential(sl.LIF(tau_mem=20.0)), (4,)).layers[0].op
    assert isinstance(op, LeakyIntegrateAndFire)
    alpha = np.exp(np.float32(-1 / 20))
    assert op.gain is not None
    np.testing.assert_allclose([op.decay, op.gain], [alpha, 1 - alpha], rtol=1e-5)
    assert (op.max_spikes, op.reset, op.reset_value, op.strict, op.late_reset) == (None, "subtract", None, False, False)
