"""How a picture becomes the frames of one sample: by I2E, or as a sensor would see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.engine import convert
from i2e_deploy.conversion.sensor import Pixels, Sensor, make_pixels, simulate
from i2e_deploy.conversion.stream import SACCADE_US
from i2e_deploy.conversion.vectors import DEFAULT_ORDER, Saccade, draw_kernels, kernel_table, saccades
from i2e_deploy.datasets.picture import Resize
from i2e_deploy.events.array import Events


@dataclass(frozen=True)
class Seeing:
    """What stays the same from sample to sample.

    Args:
        ratio: S_th0.
        steps: T, 1 to 8.
        order: time order of the saccade lengths.
        sensor: realism to add; None: plain I2E.
        saccade_us: length of a saccade, which is a step.
        moving_eye: with a sensor, the eye moves during the whole saccade instead of jumping.
        copy: seed of the fixed pattern of the sensor.
    """

    ratio: Fraction
    steps: int = 8
    order: tuple[str, ...] = DEFAULT_ORDER
    sensor: Sensor | None = None
    saccade_us: int = SACCADE_US
    moving_eye: bool = False
    copy: int = 0

    def table(self, rng: np.random.Generator | None) -> NDArray[np.int64]:
        """Cells of the saccades, int64 [1, T, 2]; each placed at random with `rng`, else the canonical ones."""
        kernels = _kernels(self.order, self.steps)
        return kernel_table(kernels) if rng is None else draw_kernels(kernels, 1, rng)

    def frames(self, image: NDArray[np.uint8], rng: np.random.Generator | None) -> NDArray[np.uint8]:
        """Plain I2E of one picture uint8 [C, H, W]: uint8 0/1 [T, 2, H, W], channel 0 = OFF."""
        frames: NDArray[np.uint8] = self.batch(image[None], None if rng is None else [rng])[0]
        return frames

    def batch(self, images: NDArray[np.uint8], generators: Sequence[np.random.Generator] | None) -> NDArray[np.uint8]:
        """Plain I2E of pictures uint8 [B, C, H, W], each placed by a generator of its own: uint8 [B, T, 2, H, W]."""
        table = self.table(None) if generators is None else np.concatenate([self.table(rng) for rng in generators])
        return convert(images, self.ratio, table, threads=1)

    def events(self, image: NDArray[np.uint8], rng: np.random.Generator, placed: np.random.Generator | None) -> Events:
        """One picture uint8 [C, H, W] as the sensor sees it: events from 0 to T * saccade_us.

        Args:
            image: the picture.
            rng: source of the noise.
            placed: source of the placement of the saccades; None: the canonical ones.
        """
        height, width = image.shape[1:]
        sensor = self.sensor or Sensor()
        motion_us = self.saccade_us if self.moving_eye else 0
        pixels = _pixels(sensor, height, width, self.copy)
        return simulate(image, self.ratio, sensor, rng, pixels, self.table(placed), self.saccade_us, motion_us)

    def record(self, resize: Resize, channels: int, binary: bool) -> dict[str, Any]:
        """For a card: plain JSON values, see `datasets.Card`."""
        noisy = {} if self.sensor is None else {"sensor": asdict(self.sensor), "moving_eye": self.moving_eye}
        return {
            "kind": "pictures",
            "size": resize.size,
            "fit": resize.fit,
            "resample": resize.resample,
            "s_th0": str(self.ratio),
            "order": list(self.order),
            "channels": channels,
            "binary": binary,
            **noisy,
        }


@lru_cache(maxsize=8)
def _kernels(order: tuple[str, ...], steps: int) -> tuple[Saccade, ...]:
    return saccades(order, steps)


@lru_cache(maxsize=8)
def _pixels(sensor: Sensor, height: int, width: int, copy: int) -> Pixels:
    return make_pixels(sensor, height, width, copy)
