"""Random parts and exposures of pictures: within their ranges, and as they are said to be made."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import picture_bytes, write_tree

from i2e_deploy.conversion import i2e_reference
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.errors import InputError
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.data.augmentation import draw_part, exposed

image = pytest.importorskip("PIL.Image")


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.05, 1), st.integers(0, 1000))
def test_a_part_lies_in_the_picture_and_in_the_ranges(width: int, height: int, least: float, seed: int) -> None:
    left, top, right, bottom = draw_part(least, np.random.default_rng(seed))(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    wide, high = right - left, bottom - top
    # Sides are whole pixels: half a pixel either way.
    assert (wide - 0.5) / (high + 0.5) <= 4 / 3 or high == height
    assert (wide + 0.5) / (high - 0.5) >= 3 / 4 or wide == width
    if (left, top) != ((width - wide) // 2, (height - high) // 2):  # no fall back to the middle
        assert least * width * height <= (wide + 0.5) * (high + 0.5)


def test_parts_of_a_square_are_spread_over_areas_aspects_and_places() -> None:
    rng = np.random.default_rng(0)
    parts = np.array([draw_part(0.25, rng)(200, 200) for _ in range(3000)])
    wide, high = parts[:, 2] - parts[:, 0], parts[:, 3] - parts[:, 1]
    area, aspect = wide * high / 200**2, wide / high
    assert area.min() < 0.26
    assert area.max() > 0.95
    # The area is uniform but for parts that fit less often; the aspect is symmetric in its logarithm.
    assert abs(np.median(area) - 0.6) < 0.06
    assert abs(np.log(aspect).mean()) < 0.01
    assert np.log(aspect).std() == pytest.approx(2 * np.log(4 / 3) / np.sqrt(12), rel=0.1)
    small = area < 0.5
    assert np.abs((parts[small, 0] / (200 - wide[small])).mean() - 0.5) < 0.03


def test_a_part_is_cut_out_of_the_whole_picture_and_then_resized() -> None:
    data = picture_bytes(3, (40, 30))
    whole = image.open(io.BytesIO(data)).convert("RGB")
    wanted = np.asarray(whole.crop((5, 2, 25, 20)).resize((16, 16), image.Resampling.BICUBIC))
    got = decode_picture(data, Resize(16, "crop"), cut=lambda width, height: (5, 2, width - 15, height - 10))
    np.testing.assert_array_equal(got, wanted)


def test_an_exposure_is_an_exponent_of_the_grey_values() -> None:
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    lower, upper = (np.rint(255 * (greys / 255.0) ** exponent) for exponent in (1.5, 1 / 1.5))
    rng = np.random.default_rng(0)
    for _ in range(50):
        made = exposed(greys, 0.5, rng).astype(np.int64)
        assert (np.diff(made.reshape(-1)) >= 0).all()
        assert (made[0, 0], made[-1, -1]) == (0, 255)
        assert ((lower <= made) & (made <= upper)).all()


def test_brightness_and_contrast_change_no_event_and_exposure_does() -> None:
    """Why there is no colour jitter: the threshold is a share of the range, and V the brightest colour."""
    rng = np.random.default_rng(0)
    picture: NDArray[np.uint8] = rng.integers(0, 64, (1, 3, 20, 20)).astype(np.uint8)
    frames = i2e_reference(picture, "0.12")
    for other in (picture * np.uint8(3), picture + np.uint8(100)):
        np.testing.assert_array_equal(i2e_reference(other, "0.12"), frames)
    np.testing.assert_array_equal(i2e_reference(picture[:, [2, 0, 1]], "0.12"), frames)
    rng = np.random.default_rng(1)
    changed = [(i2e_reference(exposed(picture * np.uint8(4), 2.0, rng), "0.12") != frames).any() for _ in range(8)]
    assert np.mean(changed) > 0.5


def test_training_sees_parts_and_the_test_the_whole(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, 20)
    plain, cropped = (
        open_data(tree, DataOptions(size=12, augmentation=moved)) for moved in (Augmentation(), Augmentation(crop=0.2))
    )
    every = np.arange(16)
    np.testing.assert_array_equal(plain.train.batch(every, None).frames, cropped.train.batch(every, None).frames)
    np.testing.assert_array_equal(plain.test.batch(every[:4], None).frames, cropped.test.batch(every[:4], None).frames)
    differ = (plain.train.batch(every, 1).frames != cropped.train.batch(every, 1).frames).any(axis=(1, 2, 3, 4))
    assert differ.mean() > 0.8
    order = every[::-1]
    np.testing.assert_array_equal(cropped.train.batch(order, 1).frames, cropped.train.batch(every, 1).frames[order])


def test_what_is_for_pictures_is_refused_of_others(tmp_path: Path) -> None:
    frames = np.zeros((4, 2, 2, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", frames=frames, labels=np.arange(4) % 2)
    for options in (Augmentation(crop=0.5), Augmentation(gamma=0.5)):
        with pytest.raises(InputError, match=r"(crop|gamma) is for pictures: .*a.npz holds frames; leave it out"):
            open_data(tmp_path / "a.npz", DataOptions(augmentation=options))
        with pytest.raises(InputError, match="is for pictures: list holds frames"):
            open_data(([(frames[0], 0), (frames[1], 1)],) * 2, DataOptions(augmentation=options))
    for crop, gamma in ((0.0, 0.0), (1.1, 0.0), (1.0, -1.0)):
        with pytest.raises(InputError, match=r"give a share from 0\.01 to 1"):
            Augmentation(crop=crop, gamma=gamma)
    with pytest.raises(InputError, match=r"give 1 to 2; I2E sees brightness and no colour.* FRAMES\.npz"):
        DataOptions(channels=3)
