"""What real Speck2f chips gave on known networks and inputs, beside what we compute: the highest evidence there is.

The records are other people's and public; `I2E_DEPLOY_RECORDS` names the folder that holds them, `I2E_DEPLOY_DATA` that
of the N-MNIST recordings. Agreement is of the level "record": a figure, stated here, and not equality. The bounds are
the figures that were found: a change that makes us worse must fail.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from public_data import public, record, trained

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, EventOptions
from i2e_deploy.chips.dynapcnn.estimates.power import power_figures
from i2e_deploy.chips.dynapcnn.program import CoreLayer, Source
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.trace import LayerCounts, States, Trace
from i2e_deploy.events.array import Events, empty_events
from i2e_deploy.events.files import read_events
from i2e_deploy.network import from_sinabs, read_nir
from i2e_deploy.network.sinabs.states import StatesChoice
from i2e_deploy.runtime import beside_chip

#: The first N-MNIST test recording of each class, which the authors of the NIR paper (Nature Communications 2024) sent.
RECORDINGS = (60004, 60003, 60002, 60019, 60005, 60009, 60012, 60001, 60062, 60008)
#: Neurons of the first layer, of 4,096, whose count differs from the chip's.
DIFFERING = (166, 0, 164, 162, 33, 108, 121, 80, 116, 109)

PROFILE = load_profile("speck2f")


def figure(name: str) -> str:
    """What the profile says came of a record."""
    return next(record.figure for record in PROFILE.records if record.id == name)


@pytest.mark.parametrize("digit", range(10))
def test_the_first_layer_of_a_trained_network(digit: int) -> None:
    """Spikes of 4,096 neurons on a recording of half a second; the chip's states were reset before it."""
    pytest.importorskip("nir")
    chips = np.load(record("speck2f_nmnist/speck_activity.npy"), allow_pickle=False)[0, digit]
    program = get("speck2f").lower(read_nir(record("speck2f_nmnist/cnn_sinabs.nir")))
    assert isinstance(program, DynapcnnProgram)
    events = read_events(public(f"nmnist_small/test/{digit}/{RECORDINGS[digit]}.bin")).events
    trace = program.run_events(events)
    first = program.layer_names[0]
    ours = trace.spikes[first].sum(axis=(0, 1))
    differ = ours != chips
    assert int(differ.sum()) <= DIFFERING[digit]
    assert np.abs(ours - chips).max(initial=0) <= 2
    assert abs(int(ours.sum()) - int(chips.sum())) <= 0.003 * chips.sum()
    steps = program.run(program.in_steps(events, 1000)).spikes[first].sum(axis=(0, 1))
    assert int((steps != chips).sum()) > 2 * int(differ.sum())  # time steps of 1 ms predict the chip worse


def test_the_figures_of_the_first_layer_in_the_profile() -> None:
    """What `profiles speck2f` says of the record is what comes out."""
    pytest.importorskip("nir")
    chips = np.load(record("speck2f_nmnist/speck_activity.npy"), allow_pickle=False)[0]
    program = get("speck2f").lower(read_nir(record("speck2f_nmnist/cnn_sinabs.nir")))
    assert isinstance(program, DynapcnnProgram)
    layer = program.layers[0]
    alone = DynapcnnProgram(program.input_shape, (layer,), (Source(layer.name),))
    ours = np.zeros(chips.shape, np.int64)
    for digit, name in enumerate(RECORDINGS):
        events = read_events(public(f"nmnist_small/test/{digit}/{name}.bin")).events
        ours[digit] = alone.run_events(events).spikes[layer.name].sum(axis=(0, 1))
    found, told = beside_chip(ours, chips), figure("first-layer")
    assert f"chip {found.chip:,} spikes, `event` {found.ours:,} ({100 * found.excess:+.2f} %)" in told
    assert f"counts of {found.differing:,} of {found.neurons:,} neurons differ" in told
    point = next(point for point in PROFILE.open_points if point.name == "last-spikes")
    assert point.text.startswith(f"{found.spikes_apart:,} spikes in {found.chip:,}")


def test_neurons_that_differ_are_those_that_the_order_of_events_moves() -> None:
    """Three features with little negative weight make 23 % of the spikes and hardly differ, as they hardly do when our
    own events are put in another order; lost events move them as much as the others. So no event was lost.
    """
    pytest.importorskip("nir")
    chips = np.load(record("speck2f_nmnist/speck_activity.npy"), allow_pickle=False)[0]
    program = get("speck2f").lower(read_nir(record("speck2f_nmnist/cnn_sinabs.nir")))
    assert isinstance(program, DynapcnnProgram)
    layer = program.layers[0]
    alone = DynapcnnProgram(program.input_shape, (layer,), (Source(layer.name),))
    rng = np.random.default_rng(0)
    few = np.argsort([-row[row < 0].sum() for row in layer.weight.astype(np.int64)])[:3]

    def counts(events: Events) -> NDArray[np.int64]:
        return np.asarray(alone.run_events(events).spikes[layer.name].sum(axis=(0, 1)), np.int64)

    apart = {name: np.zeros(16) for name in ("chip", "order", "lost")}
    for digit, name in enumerate(RECORDINGS):
        events = read_events(public(f"nmnist_small/test/{digit}/{name}.bin")).events
        moved = events[np.argsort(events["t"] + rng.integers(0, 2001, len(events)), kind="stable")].copy()
        moved["t"] = events["t"]
        ours = counts(events)
        for key, other in (
            ("chip", chips[digit]), ("order", counts(moved)), ("lost", counts(events[rng.random(len(events)) > 2e-3])),
        ):  # fmt: skip
            apart[key] += (other != ours).sum(axis=(1, 2))
    spikes = chips.sum(axis=(0, 2, 3))
    assert spikes[few].sum() > 0.2 * spikes.sum()
    share = {key: counted[few].sum() / counted.sum() for key, counted in apart.items()}
    assert share["chip"] < 0.06
    assert share["order"] < 0.06
    assert share["lost"] > 0.15
    assert np.corrcoef(apart["chip"], apart["order"])[0, 1] > 0.95


def test_four_layers_from_the_states_that_training_left() -> None:
    """Sinabs writes a module's membrane states to the chip: the run starts where training stopped.

    Another run of the chip gave 40 spikes in the last layer.
    """
    program = four_layers("stored")
    events = read_events(public("nmnist_small/test/0/60004.bin")).events
    totals = [int(count.spikes) for count in program.run_events(events).counts.values()]
    chips = [31_831, 12_906, 633, 38]
    for ours, theirs, bound in zip(totals, chips, (3, 14, 0, 2), strict=True):
        assert abs(ours - theirs) <= bound, (totals, chips)
    for counts in (totals, chips):
        assert " / ".join(f"{count:,}" for count in counts) in figure("four-layers")
    fresh = [int(count.spikes) for count in four_layers("zero").run_events(events).counts.values()]
    assert all(fresh[i] < 0.98 * chips[i] for i in (0, 1))  # from zero, the first layers are too quiet


def four_layers(states: StatesChoice) -> DynapcnnProgram:
    """The network of the record, with or without the states that training left, through the reader of Sinabs."""
    torch, sinabs = pytest.importorskip("torch"), pytest.importorskip("sinabs.layers")
    from safetensors.numpy import load_file
    from torch import nn

    def neurons() -> nn.Module:
        iaf: nn.Module = sinabs.IAFSqueeze(batch_size=1, min_v_mem=-1.0)
        return iaf

    module = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False), neurons(), nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False), neurons(), nn.AvgPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1, stride=2, bias=False), neurons(),
        nn.Flatten(), nn.Linear(16 * 4 * 4, 10, bias=False), neurons(),
    )  # fmt: skip
    for name, values in load_file(record("speck2f_four_layers/network.safetensors")).items():
        number, _, what = name.partition(".")
        held = torch.from_numpy(values)
        if what == "v_mem":
            module[int(number)].v_mem = held
        else:
            module[int(number)].weight = nn.Parameter(held)
    program = get("speck2f").lower(from_sinabs(module, (2, 34, 34), states=states))
    assert isinstance(program, DynapcnnProgram)
    return program


def test_energy_of_an_operation_lies_in_the_profiles_range() -> None:
    """The first recording on the network of four layers, from its power series: energy above rest of io, ram and logic.

    Readings come in bursts, so their number times the period (20 ms) is the time; the stop watch starts anew at every
    recording. The rest before it lies in the profile's ranges too, rail by rail.
    """
    program = four_layers("stored")
    events = read_events(public("nmnist_small/test/0/60004.bin")).events
    synops = sum(count.synops for count in program.run_events(events).counts.values())
    energy = PROFILE.estimate("synop_energy")
    with np.load(record("speck2f_power/power_series.npz"), allow_pickle=False) as series:
        for run in ("d4a1528", "90f4523"):
            joules = 0.0
            for number, rail in enumerate(("io", "ram", "logic")):
                idle, active = (rows[rows[:, 0] == number] for rows in (series[f"{run}_0"], series[f"{run}_1"]))
                rest, known = float(idle[:, 1].mean()), PROFILE.estimate(f"idle_{rail}")
                assert known.low - 0.5 <= 1e6 * rest <= known.high + 0.5
                first, second = np.flatnonzero(np.diff(active[:, 2]) < 0)[:2]
                joules += float((active[first + 1 : second + 1, 1] - rest).sum()) * 0.02
            assert energy.low <= 1e12 * joules / synops <= energy.high


#: Power of io, ram and logic together, W, and recordings a second, of 100 recordings: inNuCE_BRANDY-2025,
#: saved_models/all_results.json; cells of layer, neuron and bin of 1/29 s in which a neuron fired.
NETWORKS = {
    "100": (792e-6, 0.8099, 926_923), "10": (509e-6, 0.8293, 191_154), "4": (523e-6, 0.8280, 195_933),
    "3": (523e-6, 0.8276, 159_607), "1": (553e-6, 0.8260, 184_967),
}  # fmt: skip


@pytest.mark.slow
def test_totals_and_power_of_networks_that_run_without_a_reset() -> None:
    """Recordings as tonic's frames, in the order of Sinabs' `raster_to_events`, one after the other.

    Ten of each class in MNIST's order; 15 are not here and others of their class stand for them, which moves totals by
    1 %. Each recording from zero is further from the chip. The power lies in the profile's range, which these networks
    helped to make; `docs/findings/estimates.md` has what the other source alone predicts.
    """
    pytest.importorskip("nir")
    recordings, off = _first_ten_of_each_class(), {"chained": 0.0, "alone": 0.0}
    for name, (watts, per_second, chip) in NETWORKS.items():
        program = get("speck2f").lower(read_nir(trained(f"nir/brandy_{name}.nir")))
        assert isinstance(program, DynapcnnProgram)
        states, cells, alone, synops = None, 0, 0, 0
        for recording in recordings:
            trace = program.run_events(recording, states=states)
            states = trace.states
            cells, alone = cells + _cells(trace), alone + _cells(program.run_events(recording))
            synops += sum(count.synops for count in trace.counts.values())
        assert cells == pytest.approx(chip, rel=0.015)
        off["chained"] += abs(cells / chip - 1)
        off["alone"] += abs(alone / chip - 1)
        figures = power_figures({"all": LayerCounts(0, synops, 0)}, 100, 1 / per_second, PROFILE)
        power = next(each for each in figures if each.name == "power, processor")
        assert power.low <= 1e3 * watts <= power.high
    assert off["chained"] < off["alone"] / 3


def _first_ten_of_each_class() -> list[Events]:
    folder, chosen = public("nmnist_small/test"), []
    for digit in range(10):
        files = sorted((folder / str(digit)).glob("*.bin"))
        chosen += (files * 5)[:10]
    return [_as_frames_are_sent(read_events(path).events) for path in chosen]


def _as_frames_are_sent(events: Events) -> Events:
    """30 bins, each sent at its number / 29 s: pixels that fired most often come first, then in raster order."""
    bins = (events["t"] - events["t"][0]) // ((events["t"][-1] - events["t"][0]) // 30)
    frames = np.zeros((30, 2, 34, 34), np.int64)
    kept = events[bins < 30]
    np.add.at(frames, (bins[bins < 30], kept["p"].astype(np.int64), kept["y"], kept["x"]), 1)
    rows = np.concatenate([np.tile(np.argwhere(frames == n), (n, 1)) for n in range(frames.max(), 0, -1)])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    sent = empty_events(len(rows))
    sent["t"], sent["p"], sent["y"], sent["x"] = rows[:, 0] * 1_000_000 // 29, rows[:, 1], rows[:, 2], rows[:, 3]
    return sent


def _cells(trace: Trace) -> int:
    """Cells of layer, bin and neuron with a spike."""
    assert trace.events is not None
    total = 0
    for spikes in trace.events.values():
        bins = np.rint(spikes["t"] * 29 / 1e6).astype(np.int64)
        total += len(np.unique(((bins * 64 + spikes["c"]) * 64 + spikes["y"]) * 64 + spikes["x"]))
    return total


def test_a_leak_tick_by_tick() -> None:
    """A bias of -13 a tick of the slow clock from 127: states that Sinabs' documentation shows of a Speck2f.

    Conv2d 1x1 with weight 1 and bias -0.1, threshold 1, lower bound -1.
    """
    read = [101, 88, 75, 62, 49, 36, 23, 10, -3, -16]
    layer = CoreLayer(
        "n", (Source("input"),), np.array([[[[127]]]], np.int8), np.array([-13], np.int8), (1, 1), (0, 0), 127, -127,
        None, "subtract", (1, 1, 1), (1, 1, 1),
    )  # fmt: skip
    program = DynapcnnProgram((1, 1, 1), (layer,), (Source("n"),))
    start = {"n": {"v_mem": np.full((1, 1, 1, 1), 127, np.int64)}}
    options, seen = EventOptions(leak_fires="no"), []
    states: States = start
    for _ in range(11):
        trace = program.run_events(np.zeros((1, 1, 1, 1, 1), np.int64), states=states, options=options)
        states = trace.states
        seen.append(int(states["n"]["v_mem"][0, 0, 0, 0]))
    assert seen[1:] == read
