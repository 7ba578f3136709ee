"""The float run: equal to Sinabs' own forward, cut in time, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_case

from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_frames
from i2e_deploy.errors import InputError
from i2e_deploy.network import Sensor, chain, from_sinabs


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_gives_what_sinabs_gives(seed: int) -> None:
    """Agreement: exact, with weights on a grid, where float32 adds without rounding in any order."""
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    module = case.module(2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_((parameter * 256).round() / 256)
    frames = rng.poisson(0.6, (2, 4, *case.input_shape))
    trace = from_sinabs(module, case.input_shape).run(frames)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(frames).float().flatten(0, 1)).numpy()
    assert np.array_equal(trace.output, expected.reshape(2, 4, -1))
    states = [dict(part.named_buffers())["v_mem"].numpy() for part in module if hasattr(part, "v_mem")]
    assert all(np.array_equal(held["v_mem"], state) for held, state in zip(trace.states.values(), states, strict=True))


def network_and_frames() -> Any:
    rng = np.random.default_rng(0)
    case = random_case(rng)
    return from_sinabs(case.module(1), case.input_shape), rng.poisson(0.6, (3, 7, *case.input_shape))


def test_a_run_cut_in_time_equals_the_whole() -> None:
    network, frames = network_and_frames()
    whole = network.run(frames, dtype="float64")
    first = network.run(frames[:, :3], dtype="float64")
    second = network.run(frames[:, 3:], first.states, dtype="float64")
    for name, values in whole.layers.items():
        assert np.array_equal(np.concatenate([first.layers[name], second.layers[name]], axis=1), values)
    assert whole.output.dtype == np.float64


def test_only_what_is_asked_for_is_kept() -> None:
    network, frames = network_and_frames()
    whole, name = network.run(frames), network.layers[1].name
    part = network.run(frames, keep=[name])
    assert list(part.layers) == [n for n in whole.layers if n in (name, *whole.outputs)]
    assert np.array_equal(part.output, whole.output)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_sensor_does_in_the_float_run_what_it_does_on_the_chip(data: Any) -> None:
    channels = data.draw(st.sampled_from([1, 2]))
    sensor = Sensor(
        pool=(data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))),
        crop=data.draw(st.sampled_from([None, ((0, 3), (1, 3)), ((1, 2), (0, 4))])),
        merge_polarities=data.draw(st.booleans()),
        flip_y=data.draw(st.booleans()),
        flip_x=data.draw(st.booleans()),
        swap_xy=data.draw(st.booleans()),
        keep=data.draw(st.sampled_from(["both", "off", "on"])) if channels == 2 else "both",
    )
    frames = np.random.default_rng(data.draw(st.integers(0, 999))).poisson(1.0, (2, 3, channels, 9, 10))
    trace = chain((channels, 9, 10), {"sensor": sensor}).run(frames)
    assert np.array_equal(trace.layers["sensor"], preprocess_frames(sensor, frames))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frames: frames[0], "the network takes"),
        (lambda frames: frames[:0], "the network takes"),
        (lambda frames: frames.astype("U1"), "give numbers"),
        (lambda frames: np.full(frames.shape, np.nan), "not finite"),
        (lambda frames: frames.astype(np.complex64), "give numbers"),
    ],
)
def test_frames_that_are_none_of_the_network_s_are_one_line(change: Any, words: str) -> None:
    network, frames = network_and_frames()
    with pytest.raises(InputError, match=words):
        network.run(change(frames))


def test_states_of_another_batch_and_an_unknown_dtype_are_refused() -> None:
    network, frames = network_and_frames()
    states = network.run(frames).states
    with pytest.raises(InputError, match="is of 3 samples: the frames have 2"):
        network.run(frames[:2], states)
    with pytest.raises(InputError, match="float16"):
        network.run(frames, dtype="float16")
