"""The eye: its events are those of `conversion`, and a network decides of pictures as of their events."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import draw_network
from lowering_nets import drawn
from numpy.typing import NDArray
from residual_nets import residual_network

from i2e_deploy.chips import get
from i2e_deploy.chips.abilities import SeesPictures, TakesPictures
from i2e_deploy.chips.base import Program
from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.eye import Eye, eye_for, looks
from i2e_deploy.chips.loihi2 import Block, BlockNetwork, Connection, CubaLif, DenseSynapse, LoihiProgram, Sigma
from i2e_deploy.chips.loihi2.eye.attach import with_eye
from i2e_deploy.chips.loihi2.eye.see import EVENTS, eye_blocks, eye_network
from i2e_deploy.chips.loihi2.eye.threshold import spreads_of
from i2e_deploy.chips.loihi2.formats.program_file import from_tensors, to_tensors
from i2e_deploy.chips.loihi2.program import SOURCE
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts
from i2e_deploy.chips.loihi2.runnable import EyeProgram
from i2e_deploy.conversion import as_ratio, convert, i2e_reference
from i2e_deploy.conversion.threshold import grey_threshold
from i2e_deploy.conversion.vectors import draw_kernels, saccades
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError

CHIP = get("loihi2")
RATIOS = st.builds(lambda a, b: Fraction(min(a, b), max(a, b)), st.integers(0, 10_000), st.integers(1, 10_000))
SEEDS = st.integers(0, 2**32 - 1)


def pictures(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Noise of few or many levels, dark, bright or flat, so that thresholds of every size are met."""
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.integers(0, 257, 2))
    return rng.integers(low, max(high, low + 1), shape).clip(0, 255).astype(np.uint8)


def eyed(program: Program, *options: Any, **named: Any) -> EyeProgram:
    """The program with an eye, as a command makes it."""
    assert isinstance(CHIP, SeesPictures)
    found = CHIP.with_eye(program, *options, **named)
    assert isinstance(found, TakesPictures)
    assert isinstance(found, EyeProgram)
    return found


def events_of(eye: Eye, images: NDArray[np.uint8], engine: Any = "fast") -> NDArray[np.int32]:
    """What the eye's events are, the steps before the first of them checked to be empty."""
    program, first = EyeProgram(eye_network(eye)), eye_blocks(eye).first
    sent = program.see(images, engine=engine).spikes[EVENTS]
    assert not sent[:, :first].any()
    return np.asarray(sent[:, first:], np.int32)


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS, ratio=RATIOS, height=st.integers(1, 17), width=st.integers(1, 17), channels=st.sampled_from([1, 3]),
    steps=st.integers(1, 12), engine=st.sampled_from(["fast", "fast", "reference"]),
)  # fmt: skip
def test_its_events_are_those_of_the_reference(
    seed: int, ratio: Fraction, height: int, width: int, channels: int, steps: int, engine: str
) -> None:
    """Agreement: exact, any size, any ratio that conversion takes, any kernels."""
    kernels = np.random.default_rng(seed).integers(0, 9, (1, steps, 2))
    images = pictures(seed, (2, channels, height, width))
    eye = eye_for((2, height, width), ratio, kernels, channels)
    np.testing.assert_array_equal(events_of(eye, images, engine), i2e_reference(images, ratio, kernels))


@pytest.mark.parametrize(("height", "width", "ratio"), [(32, 32, "0.07"), (28, 45, "0.12"), (96, 64, "0.12")])
def test_its_events_are_those_of_convert_at_sizes_of_use(height: int, width: int, ratio: str) -> None:
    images = pictures(height, (2, 4, height, width))  # alpha is ignored
    np.testing.assert_array_equal(events_of(eye_for((2, height, width), ratio), images), convert(images, ratio))
    grey = eye_for((2, height, width), ratio, channels=1)  # V by the host
    np.testing.assert_array_equal(events_of(grey, images), convert(images, ratio))


@settings(max_examples=100, deadline=None)
@given(ratio=RATIOS)
def test_the_threshold_is_a_count_of_spreads(ratio: Fraction) -> None:
    found = np.searchsorted(spreads_of(ratio), np.arange(256), side="right")
    np.testing.assert_array_equal(found, [grey_threshold(ratio, spread) for spread in range(256)])


def test_a_tie_does_not_fire_and_a_flat_picture_is_silent() -> None:
    """S_th0 = 1/5 and a spread of 10: a difference of 2 is the threshold, 3 is above it."""
    picture = np.array([[0, 2, 5, 10]], np.uint8)[None, None]
    right = eye_for((2, 1, 4), "0.2", np.array([[[4, 5]]]), 1)  # the right neighbour minus the pixel
    np.testing.assert_array_equal(events_of(right, picture)[0, 0, 1, 0], [0, 1, 1, 0])
    assert not events_of(right, np.full_like(picture, 77)).any()


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_no_word_is_left_and_every_message_fits_its_bits(seed: int) -> None:
    images, rng = pictures(seed, (2, 3, 9, 12)), np.random.default_rng(seed)
    images[0] = 255 * rng.integers(0, 2, images[0].shape)  # the widest differences
    program = EyeProgram(eye_network(eye_for((2, 9, 12), "0.12")))
    trace = program.see(images)
    for block in program.network.blocks:
        counts, sent = trace.counts[block.name], trace.spikes[block.name]
        assert isinstance(counts, LoihiCounts)
        assert counts.wraps == counts.saturations == 0
        assert sent.min() >= 0
        assert sent.max() < (2 ** (block.message_bits - 1) if block.message_bits else 2)
        assert max(counts.peaks.values()) < 2**16


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, float_network=st.booleans(), channels=st.sampled_from([1, 3]))
def test_pictures_in_decisions_out_equals_host_conversion_and_the_network(
    seed: int, float_network: bool, channels: int
) -> None:
    """Agreement: exact, every message of every layer, for drawn networks of either origin, whatever is read."""
    network = drawn(seed % 1000 * 8 + int(np.random.default_rng(seed).choice([1, 2, 5, 7]))) if float_network else None
    given_network = network or fed_by_frames(draw_network(seed), seed)
    try:
        program = CHIP.lower(given_network)
        seeing = eyed(program, "0.12", channels=channels)
    except UnsupportedError:  # the last test of this file draws such
        return
    assert isinstance(program, LoihiProgram)
    images = pictures(seed, (2, 3, *program.input_shape[1:]))
    trace, wanted = seeing.see(images), program.run(convert(images, "0.12"))
    first = eye_blocks(seeing.eye).first
    for block in program.network.blocks:
        sent = trace.spikes[block.name][:, first + block.latency : first + 8]
        np.testing.assert_array_equal(sent, wanted.spikes[block.name][:, block.latency :])
    np.testing.assert_array_equal(trace.scores(), wanted.scores())
    np.testing.assert_array_equal(trace.decisions(), wanted.decisions())


def fed_by_frames(network: BlockNetwork, seed: int) -> BlockNetwork:
    """The network with a first layer that takes frames 2 x 5 x 6, by weights and not directly."""
    size = int(np.prod(network.input_shape))
    weight = np.random.default_rng(seed).integers(-60, 60, (size, 60))
    first = Block("frames", Sigma(), network.input_shape, (Connection(SOURCE, DenseSynapse(weight)),), message_bits=16)
    fed = [
        replace(b, connections=tuple(replace(c, source="frames") if c.source == SOURCE else c for c in b.connections))
        for b in network.blocks
    ]
    return replace(network, input_shape=(2, 5, 6), blocks=(first, *fed), input_message_bits=0)


@pytest.mark.parametrize("seed", range(4))
def test_a_residual_network_sees_too(seed: int) -> None:
    plain = CHIP.lower(residual_network(seed, wide=seed % 2 == 0))
    images = pictures(seed, (2, 3, *plain.input_shape[1:]))
    np.testing.assert_array_equal(eyed(plain, "0.12").see(images).scores(), plain.run(convert(images, "0.12")).scores())


@pytest.mark.parametrize("kind", ["count", "mean", "state", "state-mean", "step"])
def test_every_way_of_reading_the_output_is_late_by_the_eye(kind: Any) -> None:
    plain = CHIP.lower(drawn(1)).decided_by(Deciding(kind))
    images = pictures(5, (3, 3, *plain.input_shape[1:]))
    seeing = eyed(plain, "0.1")
    np.testing.assert_array_equal(seeing.see(images).scores(), plain.run(convert(images, "0.1")).scores())
    slow = seeing.run(seeing.frames_of(images), engine="reference")
    np.testing.assert_array_equal(slow.scores(), seeing.see(images).scores())


def test_it_looks_several_times_at_one_picture_with_placements_of_a_seed() -> None:
    images = pictures(3, (2, 3, 8, 8))
    kernels = looks(4, seed=11)
    assert kernels.shape == (1, 32, 2)
    events = events_of(eye_for((2, 8, 8), "0.07", kernels), images)
    np.testing.assert_array_equal(events[:, :8], convert(images, "0.07"))
    rng = np.random.default_rng(11)
    for look, table in enumerate(draw_kernels(saccades(), 3, rng), 1):
        np.testing.assert_array_equal(events[:, 8 * look : 8 * look + 8], convert(images, "0.07", table[None]))
    assert not np.array_equal(kernels, looks(4, seed=12))


def test_a_program_with_an_eye_is_kept_in_a_file() -> None:
    seeing = eyed(CHIP.lower(drawn(1)), "0.0712", looks(2, 1), channels=1)
    again = CHIP.program(*seeing.to_tensors())
    assert isinstance(again, EyeProgram)
    assert again.eye.ratio == as_ratio("0.0712")
    assert again.eye.shape == seeing.eye.shape
    np.testing.assert_array_equal(again.eye.kernels, seeing.eye.kernels)
    images = pictures(1, (1, 3, *seeing.eye.shape[1:]))
    np.testing.assert_array_equal(again.see(images).output, seeing.see(images).output)


@pytest.mark.parametrize(
    "change", [{"ratio": [1, 0]}, {"kernels": [[0, 9]]}, {"kernels": [1, 2]}, {"shape": [2, 4, 4]}, {"shape": None}, {}]
)
def test_a_damaged_eye_of_a_file_is_refused(change: dict[str, Any]) -> None:
    tensors, data = to_tensors(eye_network(eye_for((2, 4, 4), "0.1")))
    data["eye"] = data["eye"] | change if change else []
    with pytest.raises(FileFormatError):
        from_tensors(tensors, data)


def moving_network() -> BlockNetwork:
    """Two layers; the bias of the first fires it with no input, and the second remembers."""
    keeps, weights = np.array([0]), np.full((3, 18), 2)
    first = Block("a", CubaLif(keeps, keeps, 10), (3,), (Connection(SOURCE, DenseSynapse(weights)),), np.full(3, 9))
    second = Block("b", CubaLif(keeps, keeps, 10), (3,), (Connection("a", DenseSynapse(2 * np.eye(3, dtype=int))),))
    return BlockNetwork((2, 3, 3), (first, second))


def test_what_cannot_be_exact_is_refused() -> None:
    eye = eye_for((2, 3, 3), "0.1")
    with pytest.raises(UnsupportedError, match="layers b move by themselves while the eye works"):
        with_eye(moving_network(), eye)
    still = replace(moving_network(), blocks=tuple(replace(b, bias=None) for b in moving_network().blocks))
    seeing = with_eye(still, eye)
    with pytest.raises(InputError, match="has an eye already"):
        with_eye(seeing, eye)
    with pytest.raises(InputError, match=r"frames \(2, 4, 3\), the network takes \(2, 3, 3\)"):
        with_eye(still, eye_for((2, 4, 3), "0.1"))
    with pytest.raises(UnsupportedError, match=r"takes x \* 2 \+ 1 of a frame"):
        with_eye(replace(still, input_transform=(2, 1)), eye)
    with pytest.raises(InputError, match="layers eye value are the eye's names"):
        with_eye(replace(still, blocks=(*still.blocks, replace(still.blocks[1], name="eye value"))), eye)
    with pytest.raises(UnsupportedError, match="waits 69 steps in a synapse, at most 62: make 57 steps, or fewer"):
        eye_network(eye_for((2, 3, 3), "0.1", looks(8, 0)))


@pytest.mark.parametrize(
    ("shape", "says"), [((1, 4, 4), "takes (1, 4, 4)"), ((2, 9), "takes (2, 9)"), ((8,), "takes (8,)")]
)
def test_only_networks_of_two_polarities_get_an_eye(shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(InputError) as error:
        eye_for(shape, "0.1")
    assert says in str(error.value)


def test_pictures_that_it_does_not_take_are_refused() -> None:
    program = EyeProgram(eye_network(eye_for((2, 4, 6), "0.1")))
    with pytest.raises(InputError, match="the pictures are 6 x 4, the eye takes 4 x 6: resize them"):
        program.frames_of(pictures(0, (1, 3, 6, 4)))
    with pytest.raises(InputError, match=r"give \[B, C, H, W\] with C = 1 \(grey\)"):
        program.frames_of(pictures(0, (1, 2, 4, 6)))
    with pytest.raises(InputError, match="looks 0 times"):
        looks(0, 1)
    with pytest.raises(InputError, match="the network has no eye"):
        EyeProgram(moving_network())


def test_float_pictures_are_taken_as_convert_takes_them() -> None:
    images = pictures(9, (2, 3, 5, 5)).astype(np.float32) / 255
    program = EyeProgram(eye_network(eye_for((2, 5, 5), "0.1")))
    sent = program.see(images).spikes[EVENTS][:, eye_blocks(program.eye).first :]
    np.testing.assert_array_equal(sent, convert(images, "0.1"))


def test_the_code_of_the_page_runs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "eye.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"network": drawn(1), "images": pictures(2, (2, 3, 6, 8))}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)
    wanted = CHIP.lower(drawn(1)).run(convert(names["images"], "0.12")).scores()
    np.testing.assert_array_equal(names["trace"].scores(), wanted)
