"""EXACT: the chip's event pre-processing equals Sinabs' DVSLayer on frames, and itself on frames and on events."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samna_standin
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sinabs.layers import SumPool2d
from sinabs_networks import conv, linear, neurons, oracle, run_oracle
from torch import nn

from i2e_deploy import bundle
from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram, samna_link
from i2e_deploy.chips.dynapcnn.bound import bound
from i2e_deploy.chips.dynapcnn.config import build_config
from i2e_deploy.chips.dynapcnn.event_filter import EventFilter
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.injection import inject
from i2e_deploy.chips.dynapcnn.preprocess import preprocess_events, preprocess_frames
from i2e_deploy.chips.dynapcnn.program_file import read_program
from i2e_deploy.chips.dynapcnn.readout import Readout
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.network import Conv2d, IntegrateAndFire, Layer, Network, Pool2d, Sensor, chain, from_sinabs
from i2e_deploy.network.file import read_network, write_network
from i2e_deploy.reporting.html import write_report

G = torch.Generator
NEURON = IntegrateAndFire(1.0, -1.0)


def dvs_layer(**options: Any) -> Any:
    """Sinabs' own."""
    samna_standin.install()
    from sinabs.backend.dynapcnn.dvs_layer import DVSLayer

    return DVSLayer(**options)


SENSORS = [
    {"input_shape": (12, 16)},
    {"input_shape": (12, 16), "pool": (2, 2), "merge_polarities": True},
    {"input_shape": (13, 17), "pool": (2, 4)},
    {"input_shape": (12, 16), "crop": ((2, 11), (3, 15)), "flip_x": True},
    {"input_shape": (16, 14), "pool": (1, 2), "crop": ((1, 13), (1, 6)), "flip_y": True, "flip_x": True},
    {"input_shape": (12, 18), "swap_xy": True, "flip_y": True},
    {"input_shape": (12, 16), "crop": ((0, 12), (4, 16)), "swap_xy": True, "disable_pixel_array": False},
    {"input_shape": (32, 32), "pool": (4, 2), "crop": ((0, 8), (4, 14)), "flip_x": True, "swap_xy": True},
]


def module(seed: int, options: dict[str, Any], *between: nn.Module) -> nn.Sequential:
    """A DVSLayer before a small network."""
    g, channels = G().manual_seed(seed), 1 if options.get("merge_polarities") else 2
    return nn.Sequential(
        dvs_layer(**options), *between, conv(g, channels, 5, 3, padding=1), neurons(), SumPool2d(2),
        conv(g, 5, 4, 2), neurons(),
    )  # fmt: skip


def pixels(options: dict[str, Any]) -> tuple[int, int, int]:
    return (1 if options.get("merge_polarities") else 2, *options["input_shape"])


def counts(seed: int, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    generator = np.random.default_rng(seed)
    lead = (2, 4, *shape)
    return generator.integers(1, 3, lead) * (generator.random(lead) < 0.3)


def lowered(made: nn.Module, shape: tuple[int, int, int]) -> DynapcnnProgram:
    program = get("speck2f").lower(from_sinabs(made, shape))
    assert isinstance(program, DynapcnnProgram)
    return program


@pytest.mark.parametrize("options", SENSORS)
def test_networks_behind_a_dvs_layer_equal_sinabs(options: dict[str, Any]) -> None:
    shape = pixels(options)
    made, frames = module(1, options), counts(2, shape)
    expected = run_oracle(oracle(made, shape, batch_size=2), frames)
    program = lowered(made, shape)
    for engine in ("reference", "fast"):
        np.testing.assert_array_equal(program.run(frames, engine=engine).output, expected.reshape(2, 4, -1))
    assert expected.sum() > 0


@pytest.mark.parametrize("pool", [SumPool2d(2), nn.AvgPool2d((2, 4))])
def test_pooling_behind_a_dvs_layer_is_taken_into_it_as_sinabs_does(pool: nn.Module) -> None:
    options = {"input_shape": (16, 16)}
    made, frames = module(3, options, pool), counts(4, (2, 16, 16))
    program = lowered(made, (2, 16, 16))
    assert program.sensor is not None
    assert program.sensor.pool == ((2, 2) if isinstance(pool, SumPool2d) else (2, 4))
    expected = run_oracle(oracle(made, (2, 16, 16), batch_size=2), frames)
    assert expected.sum() > 0
    np.testing.assert_array_equal(program.run(frames).output, expected.reshape(2, 4, -1))


def test_pooling_behind_a_cropped_and_mirrored_sensor_where_sinabs_gives_up() -> None:
    """Sinabs 3.1.3 raises: "DVSLayer with cropping is followed by a pooling layer"; same sums by torch's modules."""
    options = {"input_shape": (16, 18), "crop": ((3, 16), (2, 15)), "flip_y": True, "swap_xy": True}
    made, frames = module(5, options, SumPool2d((1, 2))), counts(6, (2, 16, 18))
    with pytest.raises(ValueError, match="cropping is followed by a pooling layer"):
        oracle(made, (2, 16, 18))
    program = lowered(made, (2, 16, 18))
    assert program.sensor is not None
    with torch.no_grad():
        seen = nn.Sequential(*list(made)[:2])(torch.from_numpy(frames).flatten(0, 1).float())
    np.testing.assert_array_equal(preprocess_frames(program.sensor, frames).reshape(seen.shape), seen.numpy())
    options["flip_y"] = False  # now windows start at row 3, which is no multiple of 2
    with pytest.raises(UnsupportedError, match=r"crops \(3, 16\) and is pooled by 2 behind it: .* start at a multiple"):
        lowered(module(5, options, SumPool2d((1, 2))), (2, 16, 18))


def test_two_channels_may_enter_a_sensor_that_merges_them() -> None:
    options = {"input_shape": (12, 16), "merge_polarities": True}
    frames = counts(7, (2, 12, 16))
    both, one = (lowered(module(1, options), shape) for shape in ((2, 12, 16), (1, 12, 16)))
    np.testing.assert_array_equal(both.run(frames).output, one.run(frames.sum(axis=2, keepdims=True)).output)


@pytest.mark.parametrize("options", SENSORS)
def test_configuration_equals_what_sinabs_writes(options: dict[str, Any]) -> None:
    shape = pixels(options)
    made = module(1, options)
    network = oracle(made, shape)
    indices = sorted(network.dynapcnn_layers)
    sinabs = network.make_config(layer2core_map=dict(zip(indices, (2, 5), strict=True)), device="speck2fmodule")
    program = lowered(made, shape)
    cores = dict(zip(program.layer_names, (2, 5), strict=True))
    ours = samna_standin.SpeckConfiguration()
    samna_link.apply(ours, json.loads(json.dumps(build_config(program, cores, "speck2f"))))
    theirs = sinabs.dvs_layer.fields()
    assert ours.dvs_layer.fields() == theirs
    assert theirs["destinations"][0]["layer"] == 2
    if options.get("swap_xy"):  # Sinabs forgets the swap in the shape that it tells the next core
        return
    assert ours.cnn_layers[2].dimensions == sinabs.cnn_layers[2].dimensions


def test_swapped_axes_reach_the_next_core_which_sinabs_forgets() -> None:
    """Sinabs 3.1.3 `DVSLayer.get_output_shape` ignores swap_xy."""
    options = {"input_shape": (12, 18), "swap_xy": True}
    made = module(1, options)
    assert dvs_layer(**options).get_output_shape() == (2, 12, 18)
    data = build_config(lowered(made, (2, 12, 18)), {"1": 0, "4": 3}, "speck2f")
    assert data["cnn_layers"]["0"]["dimensions"]["input_shape"]["size"] == {"x": 12, "y": 18}


SIDES = st.integers(1, 12)


@st.composite
def sensors(draw: st.DrawFn) -> tuple[Sensor, tuple[int, int, int]]:
    pool = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    size = [k * draw(st.integers(1, 5)) + draw(st.integers(0, k - 1)) for k in pool]
    channels = draw(st.sampled_from([1, 2, 2]))
    crop = None
    if draw(st.booleans()):
        edges = []
        for n, k in zip(size, pool, strict=True):
            first = draw(st.integers(0, n // k - 1))
            edges.append((first, draw(st.integers(first + 1, n // k))))
        crop = (edges[0], edges[1])
    flags = {name: draw(st.booleans()) for name in ("merge_polarities", "flip_y", "flip_x", "swap_xy")}
    keep: Any = draw(st.sampled_from(["both", "both", "off", "on"])) if channels == 2 else "both"
    return Sensor(pool, crop, **flags, keep=keep), (channels, size[0], size[1])


@settings(max_examples=150, deadline=None)
@given(case=sensors(), seed=st.integers(0, 2**16), order=st.sampled_from(["spread", "raster"]), ticks=st.booleans())
def test_events_are_pre_processed_as_frames_are(
    case: tuple[Sensor, tuple[int, int, int]], seed: int, order: Any, ticks: bool
) -> None:
    sensor, shape = case
    frames = counts(seed, shape)[0]
    stimuli = inject(frames, EventOptions(order=order, step_us=1000), ticks)
    seen = preprocess_events(sensor, stimuli, shape)
    expected = preprocess_frames(sensor, frames)
    assert expected.shape[1:] == sensor.shape(shape)
    assert (seen["c"] == -1).sum() == len(frames) * ticks
    seen = seen[seen["c"] >= 0]
    binned = np.zeros_like(expected)
    np.add.at(binned, (seen["t"] // 1000, seen["c"], seen["y"], seen["x"]), 1)
    np.testing.assert_array_equal(binned, expected)


@pytest.mark.parametrize("options", SENSORS)
def test_the_asynchronous_chip_sees_what_the_sensor_lets_through(options: dict[str, Any]) -> None:
    """Engine and reference agree behind every sensor; where it moves no pixel, the network alone gives the same."""
    shape = pixels(options)
    program, frames = lowered(module(1, options), shape), counts(8, shape)
    assert program.sensor is not None
    traces = [program.run(frames, "event", engine) for engine in ("reference", "fast")]
    np.testing.assert_array_equal(traces[0].output, traces[1].output)
    assert traces[0].output.sum() > 0
    channels = program.shapes()["input"]
    order = EventOptions(order="raster")
    if set(options) == {"input_shape"}:  # what moves pixels or adds them up changes the order
        alone = replace(program, sensor=None, input_shape=channels)
        seen = preprocess_frames(program.sensor, frames)
        ours = program.run(frames, "event", options=order)
        np.testing.assert_array_equal(alone.run(seen, "event", options=order).output, ours.output)


def network(*layers: Layer) -> Network:
    return Network((2, 16, 16), layers)


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0.1, 0.3, shape).astype(np.float32)


def test_a_network_without_sinabs_says_it_too_and_survives_the_files(tmp_path: Path) -> None:
    sensor = Sensor((2, 2), ((1, 7), (0, 8)), True, flip_x=True, keep="on", pixel_array=True)
    net = chain((2, 16, 16), {"camera": sensor, "conv": Conv2d(weights(3, 1, 3, 3)), "n": NEURON})
    assert net.shapes()["camera"] == (1, 6, 8)
    write_network(net, tmp_path / "net.safetensors")
    read = read_network(tmp_path / "net.safetensors")
    assert isinstance(read, Network)
    assert read.layers[0].op == sensor
    program = get("speck2f").lower(net)
    assert isinstance(program, DynapcnnProgram)
    tensors, data = program.to_tensors()
    again = read_program(tensors, json.loads(json.dumps(data)))
    assert again.sensor == sensor
    frames = counts(0, (2, 16, 16))
    np.testing.assert_array_equal(again.run(frames).output, program.run(frames).output)
    data = json.loads(json.dumps(data))
    data["sensor"]["crop"] = [[1, 7], [0, 9]]
    with pytest.raises(FileFormatError, match="crops"):
        read_program(tensors, data)
    assert build_config(program, {"conv": 0}, "speck2f")["dvs_layer"]["on_channel"] is True


CONV, HALF = Conv2d(weights(3, 2, 3, 3)), Conv2d(weights(3, 2, 2, 2))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ((Layer("c", CONV, ("input",)), Layer("n", NEURON, ("c",)), Layer("s", Sensor(), ("n",))), "1 or 2 channels"),
        (
            (Layer("s", Sensor(), ("input",)), Layer("c", CONV, ("input",)), Layer("n", NEURON, ("c",))),
            "'s' pre-processes events",
        ),
        (
            (
                Layer("s", Sensor(), ("input",)), Layer("p", Pool2d((2, 2), "sum"), ("s",)),
                Layer("c", CONV, ("p",)), Layer("n", NEURON, ("c",)),
                Layer("d", HALF, ("s",)), Layer("m", NEURON, ("d",)),
            ),
            "'s' feeds layers through different pooling",
        ),
        (
            (
                Layer("s", Sensor(flip_x=True), ("input",)), Layer("p", Pool2d((2, 2), "sum"), ("s",)),
                Layer("c", CONV, ("p",)), Layer("n", NEURON, ("c",)),
            ),
            "'s' mirrors before pooling",
        ),
    ],
)  # fmt: skip
def test_what_the_chip_cannot_pre_process_is_refused_by_name(layers: tuple[Layer, ...], words: str) -> None:
    with pytest.raises((UnsupportedError, InputError), match=words):
        get("speck2f").lower(network(*layers))


@pytest.mark.parametrize(
    "options",
    [{"pool": (0, 1)}, {"pool": 2}, {"crop": ((3, 3), (0, 1))}, {"crop": ((0, 1),)}, {"keep": "none"}, {"flip_x": 1}],
)
def test_records_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="sensor"):
        Sensor(**options)


def test_linear_layers_behind_a_sensor_equal_sinabs() -> None:
    g = G().manual_seed(0)
    made = nn.Sequential(
        dvs_layer(input_shape=(16, 16), pool=(2, 2), flip_y=True), nn.Flatten(), linear(g, 128, 6), neurons()
    )
    frames = counts(9, (2, 16, 16))
    expected = run_oracle(oracle(made, (2, 16, 16), batch_size=2), frames)
    assert expected.sum() > 0
    np.testing.assert_array_equal(lowered(made, (2, 16, 16)).run(frames).output, expected.reshape(2, 4, -1))


def test_a_recording_through_a_sensor_that_merges_its_polarities() -> None:
    program = lowered(module(1, {"input_shape": (12, 16), "merge_polarities": True}), (1, 12, 16))
    generator = np.random.default_rng(0)
    events = np.zeros(600, EVENT_DTYPE)
    events["t"] = np.sort(generator.integers(0, 8000, 600))
    for name, most in (("p", 2), ("x", 16), ("y", 12)):
        events[name] = generator.integers(0, most, 600)
    counted = program.count(events, 1000)
    assert counted.shape == (1, 8, 1, 12, 16)
    assert counted.sum() == 600
    slow, fast = (program.run_events(events, engine) for engine in ("reference", "fast"))
    assert slow.output.sum() > 0
    np.testing.assert_array_equal(slow.output, fast.output)
    assert bound(program, events).samples == 1


def test_an_ann_behind_a_dvs_layer_is_converted_and_equals_sinabs() -> None:
    import sinabs

    g = G().manual_seed(0)
    ann = nn.Sequential(
        dvs_layer(input_shape=(12, 12), crop=((1, 11), (0, 10))), conv(g, 2, 6, 3), nn.ReLU(), nn.AvgPool2d(2),
        conv(g, 6, 5, 4), nn.ReLU(),
    )  # fmt: skip
    converted = sinabs.from_model(ann, input_shape=(2, 12, 12), batch_size=2, add_spiking_output=False)
    frames = counts(0, (2, 12, 12))
    expected = run_oracle(oracle(converted.spiking_model, (2, 12, 12), batch_size=2), frames)
    assert expected.sum() > 0
    np.testing.assert_array_equal(lowered(converted, (2, 12, 12)).run(frames).output, expected.reshape(2, 4, -1))


def test_a_bundle_with_sensor_filter_and_readout_verifies(tmp_path: Path) -> None:
    sensor = Sensor((2, 2), flip_x=True, merge_polarities=True)
    conv_ = Conv2d(weights(4, 1, 8, 8))
    net = chain((2, 16, 16), {"camera": sensor, "c": conv_, "n": NEURON})
    chip = DynapcnnChip("speck2f")
    program = replace(chip.lower(net), event_filter=EventFilter("noise", (3, 3), 1)).with_readout(Readout(1))
    frames = counts(1, (2, 16, 16))
    lowered_ = chip.check(net, program=program), program
    written = bundle.write(tmp_path / "b", chip, net, frames, semantics="event", lowered=lowered_)
    assert written.golden.expected["output"].sum() > 0
    assert bundle.verify(written).exact
    assert isinstance(written.program, DynapcnnProgram)
    assert (written.program.sensor, written.program.event_filter) == (program.sensor, program.event_filter)
    assert written.program.readout == program.readout
    data = json.loads((tmp_path / "b" / "speck2f.json").read_text())
    assert {"dvs_layer", "dvs_filter", "readout", "factory_config"} <= set(data)
    write_report(written)


def test_a_session_pre_processes_too() -> None:
    options = {"input_shape": (12, 16), "pool": (2, 2)}
    program, frames = lowered(module(1, options), (2, 12, 16)), counts(3, (2, 12, 16))[:1]
    session = program.session()
    session.start()
    steps = [session.step(frame) for frame in frames[0]]
    np.testing.assert_array_equal(np.stack(steps), program.run(frames).output[0])
