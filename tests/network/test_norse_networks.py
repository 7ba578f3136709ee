"""Networks of Norse's modules: what stands in a row is read as Norse runs it, and what Norse loses is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from i2e_deploy import network as nw
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.norse.neurons import KINDS

norse = pytest.importorskip("norse.torch")

SHAPE, BATCH, STEPS = (2, 8, 8), 2, 12


def frames(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Any:
    return np.random.default_rng(seed).poisson(0.7, (BATCH, STEPS, *shape)).astype(np.float32)


def lif(rng: np.random.Generator) -> Any:
    return norse.LIFParameters(
        tau_mem_inv=torch.tensor(rng.uniform(100, 400)), v_th=torch.tensor(rng.uniform(0.1, 0.3))
    )


def cells(rng: np.random.Generator) -> Any:
    """A network that takes one step: convolution, norm, pooling, recurrent neurons, a readout."""
    torch.manual_seed(int(rng.integers(1 << 30)))
    norm = nn.BatchNorm2d(4)
    norm.running_mean, norm.running_var = torch.randn(4) / 4, torch.rand(4) + 0.5
    return norse.SequentialState(
        nn.Conv2d(2, 4, 3, padding=1, bias=bool(rng.integers(2))),
        norm,
        norse.LIFCell(lif(rng)),
        nn.AvgPool2d(2),
        norse.SequentialState(nn.Conv2d(4, 3, 3), norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.tensor(0.02)))),
        nn.Flatten(),
        nn.Dropout(),
        norse.LIFRecurrentCell(12, 6, lif(rng)),
        norse.LILinearCell(6, 3),
    )


def over_time(rng: np.random.Generator) -> Any:
    """The same in layers that take all steps."""
    torch.manual_seed(int(rng.integers(1 << 30)))
    return norse.SequentialState(
        norse.Lift(nn.Sequential(nn.Conv2d(2, 4, 3), nn.AvgPool2d(2))),
        norse.LIF(lif(rng)),
        nn.Flatten(2),
        nn.Linear(36, 8),
        norse.LSNNRecurrent(8, 6, norse.LSNNParameters(v_th=torch.tensor(0.1), tau_mem_inv=torch.tensor(300.0))),
        nn.Dropout(),
        nn.Linear(6, 3),
        norse.LI(),
    )


def lifted(rng: np.random.Generator) -> Any:
    """A network of cells, given all steps."""
    return norse.Lift(cells(rng))


def own(module: Any, given: Any) -> Any:
    """Norse's own output, [B, T, N]."""
    module.eval()
    steps = torch.from_numpy(given).transpose(0, 1)
    with torch.no_grad():
        if isinstance(module, norse.Lift) or isinstance(module[0], norse.Lift):
            return module(steps)[0].transpose(0, 1).numpy()
        state, rows = None, []
        for x in steps:
            out, state = module(x, state)
            rows.append(out)
        return torch.stack(rows, dim=1).numpy()


@pytest.mark.parametrize("make", [cells, over_time, lifted])
@pytest.mark.parametrize("seed", range(3))
def test_networks_equal_their_own_forward(make: Callable[[Any], Any], seed: int) -> None:
    """Agreement: every layer, by the judge; the readout to 1e-4 where float32 decided no spike."""
    module = make(np.random.default_rng(seed)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = nw.from_norse(module, SHAPE, example=frames(seed))
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert "compared with" in network.notes[-1].text
    assert "nothing fired" not in network.notes[-1].text
    if "last bit" not in network.notes[-1].text:
        theirs = own(module, frames(seed))
        np.testing.assert_allclose(network.run(frames(seed)).output, theirs, rtol=1e-4, atol=1e-5)


def test_one_sample_is_an_example_too() -> None:
    network = nw.from_norse(over_time(np.random.default_rng(0)), SHAPE, example=frames()[0])
    assert "of 12 steps" in network.notes[-1].text


def test_without_an_example_the_module_is_run_on_drawn_frames() -> None:
    assert "the frames were drawn" in nw.from_norse(cells(np.random.default_rng(0)), SHAPE).notes[-1].text


class Tutorial(nn.Module):
    """As Norse's tutorials write it: a loop over time, states in variables, voltages written into a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.lif0, self.lif1 = norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.1))), norse.LIFRecurrentCell(36, 6)
        self.count = norse.RegularizationCell()
        self.fc, self.out = nn.Linear(36, 36), norse.LILinearCell(6, 3)

    def forward(self, x: Any) -> Any:
        s0 = s1 = so = None
        voltages = torch.zeros(x.shape[0], x.shape[1], 3)
        for ts in range(x.shape[0]):
            z, s0 = self.lif0(self.conv(x[ts]), s0)
            z, _ = self.count(z, s0)
            z = torch.nn.functional.max_pool2d(z, 2, 2)
            z = 10 * self.fc(z.view(-1, 36))
            z, s1 = self.lif1(z, s1)
            v, so = self.out(torch.nn.functional.relu(z), so)
            voltages[ts, :, :] = v
        return voltages


class Step(nn.Module):
    """One step, with a state in and out under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(8, 6), norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.1)))
        self.li = norse.LICell()

    def forward(self, x: Any, hidden: Any = None) -> Any:
        s0, s1 = (None, None) if hidden is None else hidden
        z, s0 = self.lif(self.fc(x), s0)
        v, s1 = self.li(z, s1)
        return v, [s0, s1]


@pytest.mark.parametrize("seed", range(3))
def test_loops_over_time_are_read_as_they_run(seed: int) -> None:
    """Agreement as above; spikes are never negative, so a rectifier after neurons changes nothing."""
    torch.manual_seed(seed)
    module = Tutorial()
    network = nw.from_norse(module, SHAPE, example=frames(seed))
    assert "nothing fired" not in network.notes[-1].text
    with torch.no_grad():
        theirs = module(torch.from_numpy(frames(seed)).transpose(0, 1)).transpose(0, 1).numpy()
    if "last bit" not in network.notes[-1].text:
        np.testing.assert_allclose(network.run(frames(seed)).output, theirs, rtol=1e-4, atol=1e-5)


def test_a_module_of_one_step_is_given_its_state_back() -> None:
    torch.manual_seed(0)
    network = nw.from_norse(Step(), (8,), example=frames(0, (8,)), layout="step")
    assert [layer.name for layer in network.layers] == ["fc", "lif", "li"]


def test_norses_own_models_are_read() -> None:
    torch.manual_seed(0)
    network = nw.from_norse(norse.ConvNet(num_channels=2, feature_size=16), (2, 16, 16), example=frames(0, (2, 16, 16)))
    assert sum(isinstance(layer.op, nw.LeakyIntegrateAndFire) for layer in network.layers) == 4


def test_a_rectifier_of_voltages_is_refused() -> None:
    class Net(Step):
        def forward(self, x: Any, hidden: Any = None) -> Any:
            v, hidden = super().forward(x, hidden)
            return torch.relu(v), hidden

    with pytest.raises(UnsupportedError, match="relu"):
        nw.from_norse(Net(), (8,), layout="step")


def test_a_membrane_potential_of_spiking_neurons_is_no_output() -> None:
    class Net(Step):
        def forward(self, x: Any, hidden: Any = None) -> Any:
            _, hidden = self.lif(self.fc(x), hidden)
            return hidden.v, hidden

    with pytest.raises(UnsupportedError, match="read out with LICell"):
        nw.from_norse(Net(), (8,), layout="step")


def test_a_subclass_of_a_container_is_read_as_it_runs() -> None:
    class Doubled(norse.SequentialState):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, state: Any = None) -> Any:
            return super().forward(2 * x, state)

    module = Doubled(nn.Linear(4, 4), norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.1))))
    network = nw.from_norse(module, (4,), example=frames(0, (4,)))
    assert isinstance(network.layers[0].op, nw.Scale)


class Zeros(nn.Module):
    """Neurons that are given states of zeros, though their class starts from `v_leak`."""

    def __init__(self) -> None:
        super().__init__()
        self.lif = norse.LIFCell(norse.LIFParameters(v_leak=torch.tensor(0.2)))

    def forward(self, x: Any) -> Any:
        state = norse.LIFFeedForwardState(torch.zeros_like(x[0]), torch.zeros_like(x[0]))
        found = []
        for step in x:
            out, state = self.lif(step, state)
            found.append(out)
        return torch.stack(found)


def test_a_module_in_two_places_must_be_two() -> None:
    shared = norse.LIFCell()
    with pytest.raises(UnsupportedError, match="give each use its own"):
        nw.from_norse(norse.SequentialState(nn.Linear(4, 4), shared, nn.Linear(4, 4), shared), (4,))


#: What Norse itself runs otherwise than it reads, or not at all.
TRAPS: dict[str, tuple[Callable[[], Any], str]] = {
    "states of a Lift go to the Lift after it": (
        lambda: norse.SequentialState(norse.Lift(norse.LIFCell()), norse.Lift(norse.LIFCell())),
        "hand each neuron its own states",
    ),
    "a cell would take time for the batch": (
        lambda: norse.SequentialState(norse.Lift(nn.Conv2d(2, 2, 1)), norse.LIFCell()),
        r"takes one step \[B, ...\] and is given \[T, B, ...\]",
    ),
    "a layer of all steps in a Lift": (lambda: norse.Lift(norse.LIF()), r"takes \[T, B, ...\] and is given one step"),
    "torch's Sequential drops states": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 1), norse.LIFCell()), "torch's Sequential drops it",
    ),
    "a convolution on all steps": (
        lambda: norse.SequentialState(nn.Conv2d(2, 2, 1), norse.LIF()), "Expected 3D",
    ),
    "flattening the batch": (lambda: norse.SequentialState(nn.Flatten(1), norse.LIF()), "in another order"),
    "a method that Norse does not run": (
        lambda: norse.LIFCell(norse.LIFParameters(method="adjoint")), "fires by method 'adjoint'",
    ),
    "a reset of one's own": (
        lambda: norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=lambda z, v, reset, th: v)), "use reset_value",
    ),
    "neurons that fire on their own": (
        lambda: norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(-1.0))), "raise v_th",
    ),
    "a state that starts from zeros and not from v_leak": (Zeros, "start with None"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_what_norse_runs_otherwise_than_it_reads_is_refused(name: str) -> None:
    make, said = TRAPS[name]
    with pytest.raises(UnsupportedError, match=said):
        nw.from_norse(make(), SHAPE)


def test_a_lift_does_give_its_states_to_the_lift_after_it() -> None:
    """Why the first trap is refused: Norse computes something else than two rows of neurons."""
    cell = norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.1)))
    steps = torch.from_numpy(frames(0, (4,))).transpose(0, 1)
    (both, _), _ = norse.SequentialState(norse.Lift(cell), norse.Lift(cell))(steps)
    separate = norse.SequentialState(norse.LIF(cell.p), norse.LIF(cell.p))(steps)[0]
    assert not torch.equal(both, separate)


def unknown_classes() -> list[str]:
    """Every class of modules in `norse.torch` that is not read and is no container."""
    known = {*KINDS, "SequentialState", "Lift", "RegularizationCell", "ConvNet", "ConvNet4", "VGG", "MobileNetV2"}
    found = [name for name in dir(norse) if isinstance(getattr(norse, name), type) and name not in known]
    return [name for name in found if issubclass(getattr(norse, name), nn.Module)]


@pytest.mark.parametrize("name", unknown_classes())
def test_classes_without_counterpart_are_refused_with_the_way_out(name: str) -> None:
    own = getattr(norse, name)
    module = own.__new__(own)
    nn.Module.__init__(module)
    with pytest.raises(UnsupportedError, match=name) as raised:
        nw.from_norse(norse.SequentialState(nn.Linear(8, 8), module), (8,))
    assert "\n" not in str(raised.value)
    assert any(word in str(raised.value) for word in ("train with", "run it yourself", "use ", "take its", "read what"))


def test_changed_cells_are_refused() -> None:
    class Mine(norse.LIFCell):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, state: Any = None) -> Any:
            return super().forward(2 * x, state)

    with pytest.raises(UnsupportedError, match="forward of its own"):
        nw.from_norse(Mine(), (4,))
    stepping, starting = norse.LIFCell(), norse.LIFCell()
    stepping.activation = lambda x, state, p, dt: (x, state)
    starting.state_fallback = lambda x: None
    for cell, said in ((stepping, "steps by"), (starting, "starts from a state of its own")):
        with pytest.raises(UnsupportedError, match=said):
            nw.from_norse(cell, (4,))


def test_a_step_is_what_the_neurons_say() -> None:
    module = norse.SequentialState(nn.Linear(4, 4), norse.LIFCell(dt=0.002), nn.Linear(4, 2), norse.LICell(dt=0.002))
    assert any("a step lasts 0.002 s" in note.text for note in nw.from_norse(module, (4,), dt=0.002).notes)
    with pytest.raises(InputError, match=r"steps of 0\.002 s, not of dt = 0\.001 s"):
        nw.from_norse(module, (4,), dt=0.001)
    module[3].dt = 0.001
    assert next(note.doubtful for note in nw.from_norse(module, (4,)).notes)


def test_parameters_must_be_those_of_the_neurons() -> None:
    """Norse makes five neurons of one input where a parameter has five values; nothing says that this is meant."""
    for parameters in (
        norse.LIFParameters(v_th=torch.ones(5)),
        norse.LIFParameters(tau_mem_inv=torch.tensor(float("nan"))),
    ):
        with pytest.raises(InputError, match=r"layer '0'"):
            nw.from_norse(norse.LIFCell(parameters), (1,))


def test_something_else_is_no_module() -> None:
    with pytest.raises(InputError, match="no torch module"):
        nw.from_norse("net", (4,))  # type: ignore[arg-type]
