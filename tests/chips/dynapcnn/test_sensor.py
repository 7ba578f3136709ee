"""EXACT: the chip's event pre-processing equals Sinabs' DVSLayer on frames."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import samna_standin
import torch
from dvs_sensors import SENSORS, G, counts, dvs_layer, lowered, module, pixels
from sinabs.layers import SumPool2d
from sinabs_networks import conv, linear, neurons, oracle, run_oracle
from torch import nn

from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_frames
from i2e_deploy.chips.dynapcnn.targets.board import setup
from i2e_deploy.errors import UnsupportedError


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
    with pytest.raises(UnsupportedError, match=r"crops \(3, 16\) and is pooled by 2 after it: .* start at a multiple"):
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
    setup.apply(ours, json.loads(json.dumps(build_config(program, cores, "speck2f"))))
    theirs = sinabs.dvs_layer.fields()
    assert {name: value for name, value in ours.dvs_layer.fields().items() if name in theirs} == theirs
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


def test_linear_layers_behind_a_sensor_equal_sinabs() -> None:
    g = G().manual_seed(0)
    made = nn.Sequential(
        dvs_layer(input_shape=(16, 16), pool=(2, 2), flip_y=True), nn.Flatten(), linear(g, 128, 6), neurons()
    )
    frames = counts(9, (2, 16, 16))
    expected = run_oracle(oracle(made, (2, 16, 16), batch_size=2), frames)
    assert expected.sum() > 0
    np.testing.assert_array_equal(lowered(made, (2, 16, 16)).run(frames).output, expected.reshape(2, 4, -1))


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


def test_a_session_pre_processes_too() -> None:
    options = {"input_shape": (12, 16), "pool": (2, 2)}
    program, frames = lowered(module(1, options), (2, 12, 16)), counts(3, (2, 12, 16))[:1]
    session = program.session()
    session.start()
    steps = [session.step(frame) for frame in frames[0]]
    np.testing.assert_array_equal(np.stack(steps), program.run(frames).output[0])
