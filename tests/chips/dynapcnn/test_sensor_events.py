"""The chip's event pre-processing on events, in files, in bundles, and what it cannot do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dvs_sensors import SENSORS, counts, lowered, module, pixels
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy import bundle
from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.estimates.bound import bound
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter, Readout
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import inject
from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_events, preprocess_frames
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.network import Conv2d, IntegrateAndFire, Layer, Network, Pool2d, Sensor, chain
from i2e_deploy.network.file import read_network, write_network
from i2e_deploy.reporting.html import write_report

NEURON = IntegrateAndFire(1.0, -1.0)


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
    """Engine and reference agree after every sensor; where it moves no pixel, the network alone gives the same."""
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


CONV, HALF = Conv2d(weights(3, 2, 3, 3)), Conv2d(weights(3, 2, 2, 2))


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
    again = DynapcnnProgram.of(from_tensors(tensors, json.loads(json.dumps(data))))
    assert again.sensor == sensor
    frames = counts(0, (2, 16, 16))
    np.testing.assert_array_equal(again.run(frames).output, program.run(frames).output)
    data = json.loads(json.dumps(data))
    data["sensor"]["crop"] = [[1, 7], [0, 9]]
    with pytest.raises(FileFormatError, match="crops"):
        DynapcnnProgram.of(from_tensors(tensors, data))
    assert build_config(program, {"conv": 0}, "speck2f")["dvs_layer"]["on_channel"] is True


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


def test_a_recording_through_a_sensor_that_merges_its_polarities() -> None:
    program = lowered(module(1, {"input_shape": (12, 16), "merge_polarities": True}), (1, 12, 16))
    generator = np.random.default_rng(0)
    events = np.zeros(600, EVENT_DTYPE)
    events["t"] = np.sort(generator.integers(0, 8000, 600))
    for name, most in (("p", 2), ("x", 16), ("y", 12)):
        events[name] = generator.integers(0, most, 600)
    counted = program.in_steps(events, 1000)
    assert counted.shape == (1, 8, 1, 12, 16)
    assert counted.sum() == 600
    slow, fast = (program.run_events(events, engine) for engine in ("reference", "fast"))
    assert slow.output.sum() > 0
    np.testing.assert_array_equal(slow.output, fast.output)
    assert bound(program, events).samples == 1


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
