"""What may be said about a data set that the trainer opens; what is not said is chosen from the data, aloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from i2e_deploy.conversion.sensor import PRESETS, Sensor
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.datasets.picture import Fit, Resample, Resize
from i2e_deploy.errors import InputError
from i2e_deploy.events.files import Recording, read_events
from i2e_deploy.text import record_repr
from i2e_deploy.training.data.augmentation import Augmentation

#: Steps where nobody says how many: what I2E gives.
STEPS = 8
#: Longest side of an input that is chosen for the user, pixels: what DYNAP-CNN chips take.
LARGEST = 128
#: Said where more than two channels are asked for.
NO_COLOUR = (
    "; I2E sees brightness and no colour, as a camera of events does: for colour convert red, green and blue each by "
    "itself (conversion.convert), join their channels, and train on that FRAMES.npz"
)
#: Options that are none of `DataOptions.settings`, or are there in parts.
_NOT_SETTINGS = ("augmentation", "read", "threads")


@dataclass(frozen=True)
class DataOptions:
    """How a data set becomes samples.

    Args:
        size: pixels a side of a square input, or (height, width) of one for recordings; None: chosen from the data.
        steps: T; of pictures 1 to 8; None: the data's own, else 8.
        step_us: length of a step in microseconds; None: the data's own, of pictures the 10 ms of a saccade.
        channels: 2 keeps the polarity as channel (0 = OFF), 1 merges both. There are none of colour: I2E takes the
            brightest of red, green and blue of each pixel, as an event camera sees brightness.
        binary: 0 and 1 instead of counts.
        ratio: S_th0 of pictures.
        fit, resample: how pictures get their size, see `datasets.Resize`.
        sensor: realism for pictures, a sensor or the name of a preset; None: plain I2E.
        moving_eye: with a sensor, the eye moves during the whole saccade instead of jumping.
        augmentation: of training samples.
        test_share: share of the samples that a drawn split keeps for testing, above 0 and below 1.
        groups: which samples are of one source and stay on one side of a drawn split: a regular expression that is
            searched in each name (its first group, or what it matches, is the source), or a CSV file `name,source`.
        labels: CSV file `name,label` that gives the classes instead of folders.
        values: CSV file `name,value[,value ...]`: a regression.
        most: at most so many training samples, drawn by `seed` and balanced over the classes; None: all.
        most_test: the same of test samples.
        seed: of split, choice and the copy of the sensor.
        read: how a recording is read.
        threads: that a batch of pictures or recordings is made on; None: as many as the engines take.

    Raises:
        InputError: a value out of range, or `labels` and `values` together.
    """

    size: int | tuple[int, int] | None = None
    steps: int | None = None
    step_us: int | None = None
    channels: int = 2
    binary: bool = False
    ratio: Fraction | float | str = "0.12"
    fit: Fit = "crop"
    resample: Resample = "bicubic"
    sensor: Sensor | str | None = None
    moving_eye: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)
    test_share: float = 0.2
    groups: str | None = None
    labels: Path | None = None
    values: Path | None = None
    most: int | None = None
    most_test: int | None = None
    seed: int = 0
    read: Callable[[Path], Recording] = read_events
    threads: int | None = None

    __repr__ = record_repr

    def __post_init__(self) -> None:
        as_ratio(self.ratio)
        for side in self.sides or (None,):
            Resize(side, self.fit, self.resample)
        if isinstance(self.sensor, str) and self.sensor not in PRESETS:
            raise InputError(f"sensor is {self.sensor!r}: choose one of {', '.join(PRESETS)}")
        if self.moving_eye and self.sensor is None:
            raise InputError("moving_eye is given without a sensor: plain I2E jumps; choose a sensor, e.g. 'ideal'")
        for name, least, most in (("steps", 1, 2**16), ("step_us", 1, 2**31), ("most", 1, None), ("most_test", 1, None),
                                  ("channels", 1, 2), ("seed", 0, 2**63), ("threads", 1, 256)):  # fmt: skip
            value = getattr(self, name)
            if value is not None and (value < least or (most is not None and value > most)):
                why = NO_COLOUR if name == "channels" else ""
                raise InputError(f"{name} is {value}: give {least} {'or more' if most is None else f'to {most}'}{why}")
        if not 0 < self.test_share < 1:
            raise InputError(f"test_share is {self.test_share}: give a share above 0 and below 1")
        if self.labels is not None and self.values is not None:
            raise InputError(f"labels {self.labels} and values {self.values}: give classes or values, not both")

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the samples, by name, as JSON holds it; not how fast they are made, nor how files are read."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _NOT_SETTINGS}
        moved = {f"augmentation.{each.name}": getattr(self.augmentation, each.name) for each in fields(Augmentation)}
        found = {**own, "ratio": as_ratio(self.ratio), **moved}
        return {name: value if isinstance(value, bool | int | float | None) else str(value)
                for name, value in found.items()}  # fmt: skip

    @property
    def sides(self) -> tuple[int, int] | None:
        """(height, width) of the input where it is given."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def side(self) -> int:
        """Pixels a side of the square that pictures become; 0 where it is not given.

        Raises:
            InputError: it is no square.
        """
        height, width = self.sides or (0, 0)
        if height != width:
            raise InputError(f"size is {self.size}: pictures become squares; give one number")
        return height

    @property
    def realism(self) -> Sensor | None:
        """The sensor, found by its name where one is given."""
        return PRESETS[self.sensor] if isinstance(self.sensor, str) else self.sensor
