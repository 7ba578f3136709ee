"""What a lowering loses, what calibration gains, what is refused with the way out, and programs on disk and on Lava."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import needs_lava_run
from lowering_nets import drawn, frames_of

from i2e_deploy import bundle
from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.loihi2 import CubaLif, LoihiProgram, ProgrammableLif
from i2e_deploy.chips.loihi2.chip import Loihi2Chip
from i2e_deploy.chips.loihi2.lowering.lower import beside
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import (
    INPUT,
    Add,
    Conv2d,
    Delay,
    Flatten,
    Layer,
    LeakyIntegrateAndFire,
    Linear,
    MaxPool2d,
    Network,
    Op,
    Pool2d,
    Sensor,
    chain,
)
from i2e_deploy.network.neurons import parameter

CHIP = Loihi2Chip("loihi2")


def random_net(seed: int, last: Op | None = None, wide: float = 0.0) -> Network:
    """Weights of no grid, two of which `wide` makes much larger than the rest; leaky neurons, reset to zero."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.05, 0.3, (16, 2, 3, 3)), rng.normal(0.05, 0.2, (8, 16 * 16))
    first[0, 0, 0, 0] += wide
    second[0, 0] += wide
    leaky = LeakyIntegrateAndFire(parameter(0.83), parameter(1.0), reset="value", strict=True)
    return chain((2, 8, 8), {
        "a": Conv2d(first.astype(np.float32), rng.normal(0, 0.1, 16).astype(np.float32), padding=(1, 1)),
        "na": leaky, "p": Pool2d((2, 2)), "f": Flatten(), "b": Linear(second.astype(np.float32)), "nb": last or leaky,
    })  # fmt: skip


def events(seed: int, samples: int = 6, steps: int = 8) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(seed).random((samples, steps, 2, 8, 8)) < 0.25).astype(np.uint8)


def differing(network: Network, options: LowerOptions, frames: Any) -> int:
    """Spikes that differ from the float run, in all layers."""
    program = CHIP.lower(network, options)
    return sum(
        loss.spikes.differing for loss in beside(network, frames, integers=program.network).losses if loss.spikes
    )


@pytest.mark.parametrize("seed", range(3))
def test_every_layer_says_what_it_lost(seed: int) -> None:
    """Figures recomputed here from the integers and the float network."""
    network, frames = random_net(seed), events(seed)
    found = beside(network, frames)
    block = found.network.blocks[0]
    (first, second), op = found.losses, network.layers[0].op
    assert isinstance(op, Conv2d)
    assert isinstance(block.neuron, CubaLif)
    synapse = block.connections[0].synapse
    assert synapse is not None
    rebuilt = synapse.weight / block.neuron.threshold
    error = 100 * np.sqrt(np.square(rebuilt - op.weight).sum() / np.square(op.weight).sum())
    assert first.weight_error == pytest.approx(error, rel=1e-3)
    assert 0 < error < 2
    leak = block.neuron.voltage_decay[0] / 4096
    assert first.leak_error == pytest.approx(100 * abs(leak / (1 - np.float64(np.float32(0.83))) - 1), rel=1e-3)
    assert first.bits == pytest.approx(1 + np.log2(np.abs(synapse.weight).max() / 2))
    late = found.network.blocks[1].latency
    trace = CHIP.lower(network).run(np.pad(frames, ((0, 0), (0, late), *((0, 0),) * 3)))
    wanted = network.run(frames, dtype="float64").layers["nb"]
    assert second.spikes is not None
    assert second.spikes.differing == int((trace.output[:, late:] != wanted).sum())
    assert second.spikes.wanted == int(wanted.sum()) > 0
    rules = {f.rule for f in CHIP.check(network).findings}
    assert {"weight bits", "weight error", "leak error", "threshold error", "bias error"} <= rules
    measured = [f for f in CHIP.findings_on(network, frames) if f.rule == "spikes differ from float"]
    assert [f.layer for f in measured] == ["a", "b"]


def test_calibration_comes_closer_than_the_range_where_few_weights_are_large() -> None:
    """A weight ten times as large as the rest leaves those few bits; clipping it keeps more spikes."""
    by_range = calibrated = 0
    for seed in range(4):
        network, frames, other = random_net(seed, wide=6.0), events(seed), events(seed + 100)
        by_range += differing(network, LowerOptions(), other)
        calibrated += differing(network, LowerOptions(calibration=frames), other)
    assert calibrated < by_range
    with pytest.raises(InputError):
        CHIP.lower(random_net(0), LowerOptions(calibration=events(0)[..., :-1]))


def test_the_closest_standard_neuron_is_a_choice_with_its_cost() -> None:
    subtracting = LeakyIntegrateAndFire(parameter(0.83), parameter(1.0), max_spikes=None)
    network, frames = random_net(0, subtracting), events(0)
    default, forced = CHIP.lower(network), CHIP.lower(network, LowerOptions(standard_neurons=True))
    assert isinstance(default.network.blocks[1].neuron, ProgrammableLif)
    assert all(isinstance(block.neuron, CubaLif) for block in forced.network.blocks)
    assert CHIP.native_files(forced, ()).keys() == {"program.net"}
    cost = [
        f for f in CHIP.findings_on(network, frames, LowerOptions(standard_neurons=True)) if "differ from f" in f.rule
    ]
    assert cost[1].severity == "warning"
    assert "reset by subtraction" in cost[1].fix
    findings = CHIP.check(network, LowerOptions(standard_neurons=True)).warnings
    assert [f.layer for f in findings if f.rule == "closest standard neuron"] == ["b"]
    adaptive = replace(subtracting, adaptation_decay=parameter(0.9), adaptation_step=parameter(0.1))
    with pytest.raises(UnsupportedError, match="adaptive threshold"):
        CHIP.lower(random_net(0, adaptive), LowerOptions(standard_neurons=True))


def leaky(**options: Any) -> LeakyIntegrateAndFire:
    return LeakyIntegrateAndFire(parameter(0.5), **{"threshold": parameter(1.0), **options})


def row(*ops: Op) -> Network:
    return chain((4,), {f"l{i}": op for i, op in enumerate(ops)})


POOL = MaxPool2d((2, 2), (2, 2))
WEIGHT = Linear(np.eye(4, dtype=np.float32))
LOOP = (
    Layer("back", Delay(parameter(1), (4,)), ("nb",)), Layer("r", WEIGHT, ("back",)), Layer("sum", Add(), ("r", INPUT)),
    Layer("a", leaky(), ("sum",)), Layer("b", WEIGHT, ("a",)), Layer("nb", leaky(), ("b",)),
)  # fmt: skip
REFUSED: dict[str, tuple[Any, str]] = {
    "a sensor": (lambda: chain((2, 4, 4), {"s": Sensor(), "f": Flatten(), "n": leaky()}), "no camera front end"),
    "max pooling of sums with windows that share no place inside": (lambda: chain((1, 4, 4), {
        "c": Conv2d(np.ones((1, 1, 1, 1), np.float32)), "m": MaxPool2d((2, 2), (2, 2), (1, 1)), "n": leaky()}),
        "no place of a window is inside the image everywhere"),
    "max pooling of the input": (lambda: chain((1, 4, 4), {"m": MaxPool2d((2, 2), (2, 2)), "f": Flatten(),
                                 "b": WEIGHT, "n": leaky()}), "average pooling"),
    "max pooling of several spikes": (lambda: chain((1, 4, 4), {"n": leaky(max_spikes=None), "m": POOL,
                                      "f": Flatten(), "b": WEIGHT, "nb": leaky()}), "average pooling"),
    "a loop over two layers": (lambda: Network((4,), LOOP), "feedback from itself alone"),
    "an adaptation that grows": (lambda: row(WEIGHT, leaky(adaptation_decay=parameter(0.5),
                                 adaptation_step=parameter(-1))), "steps below 0"),
    "a growing potential": (lambda: row(LeakyIntegrateAndFire(parameter(1.5), parameter(1))), "the chip has 0 to 1"),
    "a start at the threshold": (lambda: row(WEIGHT, leaky(start=parameter(1))), "start below it"),
    "a long delay": (lambda: row(WEIGHT, Delay(parameter(80)), leaky(reset="value")), "shorten the delays"),
    "two outputs": (lambda: Network((4,), (Layer("a", leaky(), (INPUT,)), Layer("b", leaky(), (INPUT,)))), "Concat"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_with_the_way_out(name: str) -> None:
    make, text = REFUSED[name]
    network = make()
    with pytest.raises(UnsupportedError, match=text) as found:
        CHIP.lower(network)
    assert "\n" not in str(found.value)
    report = CHIP.check(network)
    assert not report.fits
    assert text in str(report.errors[0])


@pytest.mark.parametrize("seed", range(8))
def test_a_bundle_holds_the_latency_and_verifies(seed: int, tmp_path: Path) -> None:
    network = drawn(seed)
    frames = frames_of(network, seed)
    program = CHIP.lower(network)
    if len(network.input_shape) == 3:
        written = bundle.write(tmp_path / "b", CHIP, network, frames[:2].astype(np.uint8))
        assert bundle.verify(written).exact
        again = bundle.read(tmp_path / "b").program
    else:
        again = CHIP.program(*program.to_tensors())
    assert again.latencies == program.latencies
    assert again.deciding == program.deciding
    assert np.array_equal(again.run(frames).scores(), program.run(frames).scores())


@pytest.mark.parametrize("seed", range(4))
def test_every_step_and_the_slow_reference_agree_on_lowered_networks(seed: int) -> None:
    """Agreement: exact, engine and definition, also of what a float network makes of the program's parts."""
    network = drawn(seed + 200)
    program, frames = CHIP.lower(network), frames_of(network, seed)
    fast, slow = program.run(frames), program.run(frames, engine="reference")
    assert all(np.array_equal(fast.spikes[name], slow.spikes[name]) for name in slow.spikes)
    assert np.array_equal(fast.scores(), slow.scores())


@needs_lava_run
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_networks_of_standard_neurons_run_on_lava_as_here(seed: int) -> None:
    """Agreement: exact, every spike and state, through the `.net` file, with drawn weights, decays, biases."""
    rng = np.random.default_rng(seed)
    kept = [parameter(x) for x in rng.uniform(0.2, 0.95, 2)]

    def cuba() -> LeakyIntegrateAndFire:
        return LeakyIntegrateAndFire(kept[0], parameter(1.0), reset="value", current_decay=kept[1])

    plain = LeakyIntegrateAndFire(kept[0], parameter(1.0), reset="value")
    if seed == 0:
        network = chain((6,), {"a": Linear(rng.normal(0, 0.5, (5, 6)).astype(np.float32)), "na": cuba(),
                               "b": Linear(rng.normal(0.2, 0.5, (4, 5)).astype(np.float32)), "nb": cuba()})  # fmt: skip
    elif seed == 1:
        network = random_net(1, plain)
    else:
        readout = LeakyIntegrateAndFire(kept[0])
        network = random_net(2, readout)
    program = CHIP.lower(network)
    assert isinstance(program, LoihiProgram)
    frames = (rng.random((2, 10, *network.input_shape)) < 0.3).astype(np.uint8)
    ours, lava = program.run(frames), program.run_on("lava", frames)
    for name, spikes in ours.spikes.items():
        assert np.array_equal(spikes, lava.spikes[name]), name
        for variable in ("u", "v"):
            assert np.array_equal(ours.states[name][variable], lava.states[name][variable]), (name, variable)
    assert any(spikes.any() for spikes in ours.spikes.values())


@pytest.mark.parametrize("current", [None, parameter(0.5)])
def test_biases_that_round_to_0_are_told(current: Any) -> None:
    """Of the membrane and of the current: they add up to spikes in the float run, and are nothing on the chip."""
    weights, leak = np.full((3, 2), 2, np.float32), parameter(1)
    bias = np.array([0.003, -0.001, 0], np.float32)
    leaky = LeakyIntegrateAndFire(leak, parameter(1), reset="value", current_decay=current)
    for some, few in ((bias, True), (bias + np.float32(0.5), False)):
        network = chain((2,), {"a": Linear(weights, some), "n": leaky})
        told = [f for f in CHIP.check(network).findings if f.rule == "biases that became 0"]
        assert [(f.value, f.severity) for f in told] == ([("2 of 2", "warning")] if few else [])
        frames = np.zeros((1, 700, 2), np.int64)
        assert network.run(frames).output.any()
        assert CHIP.lower(network).run(frames).output.any() != few


def test_the_room_of_an_accumulator_is_told_and_is_right() -> None:
    """All inputs at once in each step: it clips in the step after those that the finding names, and not before."""
    weight = np.full((2, 300), 1.0, np.float32)
    network = chain((300,), {"w": Linear(weight)})
    (row,) = [f for f in CHIP.check(network).findings if f.rule == "room of the voltage"]
    room = int(str(row.value).split()[0])
    program = CHIP.lower(network)
    for steps, clipped in ((room, False), (room + 1, True)):
        counts = program.run(np.ones((1, steps + 1, 300), np.int64)).counts["w"]  # a step for the synapse
        assert (counts.saturations > 0) == clipped
    leaking = chain((300,), {"w": Linear(weight), "li": LeakyIntegrateAndFire(parameter(0.1))})
    assert not [f for f in CHIP.check(leaking).findings if f.rule == "room of the voltage"]
