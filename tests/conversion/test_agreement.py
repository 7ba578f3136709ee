"""Exact: every implementation of I2E gives the bits of `i2e_reference`, and that one those of a convolution."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.conversion import I2E, as_ratio, convert, i2e_reference, i2e_torch
from i2e_deploy.conversion.vectors import draw_kernels, kernel_table, saccades
from i2e_deploy.errors import InputError

Images = NDArray[np.uint8]


@st.composite
def pictures(draw: st.DrawFn, max_height: int = 300, max_width: int = 200) -> Images:
    """uint8 [B, C, H, W] of any size, memory order and contrast."""
    batch, channels = draw(st.integers(0, 3)), draw(st.sampled_from([1, 3, 4]))
    height, width = draw(st.integers(1, max_height)), draw(st.integers(1, max_width))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low = draw(st.integers(0, 255))
    high = draw(st.integers(low, 255))
    order = draw(st.sampled_from(["planar", "interleaved", "fortran", "sliced", "reversed", "read-only"]))
    images = rng.integers(low, high + 1, (batch, channels, height, width), dtype=np.uint8)
    if order == "interleaved":
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if order == "fortran":
        return np.asfortranarray(images)
    if order == "sliced":
        return np.repeat(images, 2, axis=3)[..., ::2]
    if order == "reversed":
        return images[:, :, ::-1, ::-1]
    images.flags.writeable = order != "read-only"
    return images


ratios = st.one_of(
    st.sampled_from([Fraction(0), Fraction(1), Fraction(1, 10_000), Fraction(9_999, 10_000), Fraction(12, 100)]),
    st.integers(1, 10_000).flatmap(lambda den: st.integers(0, den).map(lambda num: Fraction(num, den))),
)


def by_convolution(images: Images, ratio: Fraction) -> Images:
    """The paper's formulation with torch's own convolution in float64, where these integers are exact."""
    weight = torch.zeros(8, 1, 3, 3, dtype=torch.float64)
    for step, kernel in enumerate(saccades()):
        weight[step, 0, 1 + kernel.plus[0], 1 + kernel.plus[1]] += 1
        weight[step, 0, 1 + kernel.minus[0], 1 + kernel.minus[1]] -= 1
    value = torch.from_numpy(images[:, :3].astype(np.float64)).amax(1, keepdim=True)
    spread = value.amax((1, 2, 3), keepdim=True) - value.amin((1, 2, 3), keepdim=True)
    difference = ratio.denominator * F.conv2d(F.pad(value, (1, 1, 1, 1), mode="replicate"), weight)
    threshold = ratio.numerator * spread
    return torch.stack((-difference > threshold, difference > threshold), 2).to(torch.uint8).numpy()


@settings(max_examples=40, deadline=None)
@given(images=pictures(max_height=40, max_width=70).filter(len), ratio=ratios)
def test_reference_is_the_convolution_of_the_paper(images: Images, ratio: Fraction) -> None:
    np.testing.assert_array_equal(i2e_reference(images, ratio), by_convolution(images, ratio))


@settings(max_examples=120, deadline=None)
@given(images=pictures(), ratio=ratios, threads=st.sampled_from([1, 3]))
def test_cpu_kernel_equals_reference(images: Images, ratio: Fraction, threads: int) -> None:
    expected = i2e_reference(images, ratio)
    np.testing.assert_array_equal(convert(images, ratio, threads=threads), expected)
    bits = packed(expected)
    np.testing.assert_array_equal(convert(images, ratio, threads=threads, packed=True), bits)


@settings(max_examples=40, deadline=None)
@given(images=pictures(max_height=60, max_width=100), ratio=ratios, seed=st.integers(0, 99), steps=st.integers(1, 8))
def test_drawn_placements_equal_reference(images: Images, ratio: Fraction, seed: int, steps: int) -> None:
    tables = draw_kernels(saccades(steps=steps), len(images), np.random.default_rng(seed))
    expected = i2e_reference(images, ratio, tables)
    np.testing.assert_array_equal(convert(images, ratio, tables), expected)
    np.testing.assert_array_equal(i2e_torch(as_tensor(images), ratio, torch.from_numpy(tables)), expected)
    on_first = convert(images, ratio, tables, packed=True, on_first=True)
    authors = packed(expected[:, :, ::-1])
    np.testing.assert_array_equal(on_first, authors)


@settings(max_examples=40, deadline=None)
@given(images=pictures(max_height=100, max_width=100).filter(len), ratio=ratios)
def test_torch_equals_reference(images: Images, ratio: Fraction) -> None:
    expected = i2e_reference(images, ratio)
    np.testing.assert_array_equal(i2e_torch(as_tensor(images), ratio), expected)
    np.testing.assert_array_equal(I2E(ratio).eval()(as_tensor(images)), expected)


@settings(max_examples=25, deadline=None)
@given(images=pictures(40, 40).filter(len), ratio=ratios, dtype=st.sampled_from([torch.float16, torch.float32]))
def test_float_images_give_the_bits_of_8_bit_ones(images: Images, ratio: Fraction, dtype: torch.dtype) -> None:
    floats = (as_tensor(images).double() / 255).to(dtype)
    expected = i2e_reference(images, ratio)
    np.testing.assert_array_equal(I2E(ratio).eval()(floats), expected)
    np.testing.assert_array_equal(convert(floats.numpy(), ratio), expected)


def packed(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each sample through NumPy's own packer: [B, ceil(bits / 8)]."""
    return np.packbits(frames.reshape(len(frames), math.prod(frames.shape[1:])), axis=1)


def as_tensor(images: Images) -> torch.Tensor:
    """A writable copy: torch warns about read-only and refuses reversed arrays."""
    return torch.from_numpy(images.copy())


TRITON = """
import numpy as np, torch
from i2e_deploy.conversion import i2e_reference
from i2e_deploy.conversion.triton_i2e import i2e_triton
from i2e_deploy.conversion.vectors import draw_kernels, saccades
device, rng = "cuda" if torch.cuda.is_available() else "cpu", np.random.default_rng(0)
for shape in ((1, 3, 1, 1), (2, 1, 3, 5), (2, 4, 17, 80)):
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    there = torch.from_numpy(images).to(device)
    np.testing.assert_array_equal(i2e_triton(there, "0.12").cpu(), i2e_reference(images, "0.12"))
    tables = draw_kernels(saccades(steps=3), len(images), rng)
    drawn = i2e_triton(there, "0.12", torch.from_numpy(tables).to(device), torch.float32)
    np.testing.assert_array_equal(drawn.cpu(), i2e_reference(images, "0.12", tables))
print("equal")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_triton_equals_reference() -> None:
    """On a GPU where there is one, else in Triton's interpreter, which must be chosen before triton is imported."""
    environment = {**os.environ, **({} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"})}
    command = [sys.executable, "-W", "ignore", "-c", TRITON]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.stdout == "equal\n", run.stderr


def test_ties_do_not_fire() -> None:
    """Range 200, S_th0 = 3/25: a difference of 24 is a tie, 25 is above."""
    images = np.zeros((1, 1, 1, 8), np.uint8)
    images[0, 0, 0] = [0, 24, 24, 49, 49, 200, 200, 200]
    right = kernel_table(saccades(("alpha", "beta", "gamma"), steps=1))  # [5, 6]: right minus centre
    expected = [0, 0, 1, 0, 1, 0, 0, 0]
    for frames in (i2e_reference(images, "0.12", right), convert(images, "0.12", right)):
        assert frames[0, 0, 1, 0].tolist() == expected


@pytest.mark.parametrize("level", [0, 7, 255])
@pytest.mark.parametrize("ratio", ["0", "0.12", "1"])
def test_flat_image_gives_no_event(level: int, ratio: str) -> None:
    images = np.full((1, 3, 6, 40), level, np.uint8)
    assert not i2e_reference(images, ratio).any()
    assert not convert(images, ratio).any()
    assert not i2e_torch(torch.from_numpy(images), ratio).any()


@settings(max_examples=20, deadline=None)
@given(images=pictures(20, 40), ratio=ratios)
def test_inverted_image_swaps_polarities(images: Images, ratio: Fraction) -> None:
    grey = images[:, :1]
    inverted: Images = np.uint8(255) - grey
    np.testing.assert_array_equal(convert(inverted, ratio), convert(grey, ratio)[:, :, ::-1])


@settings(max_examples=20, deadline=None)
@given(images=pictures(20, 40), ratio=ratios)
def test_mirrored_image_with_mirrored_kernels_is_the_mirrored_result(images: Images, ratio: Fraction) -> None:
    table = kernel_table(saccades())
    mirrored: NDArray[np.int64] = table - table % 3 + 2 - table % 3
    np.testing.assert_array_equal(convert(images[..., ::-1], ratio, mirrored), convert(images, ratio)[..., ::-1])


@pytest.mark.parametrize(
    "bad", [np.full((1, 3, 2, 2), 1.5), np.full((1, 3, 2, 2), np.nan), np.zeros((1, 3, 2, 2), int)]
)
def test_bad_float_images_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        convert(bad, "0.12")


@pytest.mark.parametrize(
    "out", [np.zeros(5, np.uint8), np.zeros((1, 8, 2, 2, 2)), np.zeros((1, 8, 2, 2, 4), np.uint8)[..., ::2]]
)
def test_bad_out_is_refused(out: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="C-contiguous uint8 array"):
        convert(np.zeros((1, 3, 2, 2), np.uint8), "0.12", out=out)


@pytest.mark.parametrize("table", [np.zeros((2, 8, 2), int), np.full((1, 8, 2), 9), np.zeros((1, 0, 2), int)])
def test_bad_tables_are_refused(table: NDArray[np.int64]) -> None:
    for function in (convert, i2e_reference):
        with pytest.raises(InputError, match="table of kernels"):
            function(np.zeros((1, 3, 2, 2), np.uint8), "0.12", table)


def test_ratio_is_the_decimal_that_was_written() -> None:
    assert as_ratio(0.07) == as_ratio("0.07") == as_ratio(Fraction(7, 100)) == Fraction(7, 100)
