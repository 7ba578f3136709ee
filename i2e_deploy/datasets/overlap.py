"""Overlap of data sets: which recordings show pictures of another set, as test data that was trained on would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.overlap_maps import SLICES, Maps, grid_of, in_grid, picture_gradients, recording_maps
from i2e_deploy.datasets.overlap_score import Ranking, estimate_motion, rank
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.sources import ImageSource
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.files import Recording, read_events
from i2e_deploy.text import counted, said

#: A best picture that leads by more than this share of what the shown one would is declared a match.
DECLARED = 0.6
#: Fewer pictures tell too little of what one that was not shown reaches.
LEAST_PICTURES = 100
#: Share of the decoys among what is declared that is accepted; else more is asked for than `DECLARED`.
ACCEPTED = 0.01
#: Sides of a picture on the sensor that are tried, as shares of its shorter side.
SCALES = (0.5, 0.6, 0.7, 0.76, 0.82, 0.88, 0.94, 1.0, 1.1)
#: Blur of the pictures, first and when the motion is known; pixels of the grid.
BLUR_FIRST, BLUR_THEN = 1.5, 1.0
#: Pictures that the scale is found with.
LOOKED_AT = 1000
#: Recordings that the scale and the motion are found with, and rounds of that.
SAMPLE, ROUNDS = 200, 3
#: Most bytes of pictures and of recordings in memory.
MAX_BYTES = 2**33


@dataclass(frozen=True, eq=False)
class Overlap:
    """What an audit found.

    Args:
        recordings, pictures: names, of all that were compared.
        best: int64 [N], the best picture of each recording.
        score: float64 [N], share of the recording that it explains.
        lead: float64 [N], its lead as a share of what the shown picture would lead by, see `overlap_score.lead_of`.
        decoys: int, recordings whose second best picture, with the best left out, would have been declared.
        threshold: of the lead, above which a match is declared.
        scale: side of the pictures on the sensor, as a share of its shorter side.
        motion: float64 [K, 2], how the eye moved, pixels of the grid down and right.
        skipped: (name, why) of recordings and pictures that could not be read.
    """

    recordings: tuple[str, ...]
    pictures: tuple[str, ...]
    best: NDArray[np.int64]
    score: NDArray[np.float64]
    lead: NDArray[np.float64]
    decoys: int
    threshold: float
    scale: float
    motion: NDArray[np.float64]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def declared(self) -> NDArray[np.bool_]:
        """bool [N], recordings that show their best picture."""
        return self.lead > self.threshold

    @property
    def matches(self) -> list[tuple[str, str, float]]:
        """(recording, picture, lead) of every match that is declared, the surest first."""
        order = np.argsort(-self.lead, kind="stable")
        return [
            (self.recordings[i], self.pictures[self.best[i]], float(self.lead[i])) for i in order if self.declared[i]
        ]

    def __repr__(self) -> str:
        compared = f"{counted(len(self.recordings), 'recording')} against {counted(len(self.pictures), 'picture')}"
        return said(self, compared, f"{int(self.declared.sum())} declared")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "recordings": len(self.recordings),
            "pictures": len(self.pictures),
            "declared": int(self.declared.sum()),
            "decoys": self.decoys,
            "threshold": self.threshold,
            "scale": self.scale,
            "motion": self.motion.tolist(),
            "matches": [
                {"recording": recording, "picture": picture, "lead": lead} for recording, picture, lead in self.matches
            ],
            "skipped": [list(pair) for pair in self.skipped],
        }


def find_overlap(
    root: Path, names: Sequence[str], source: ImageSource, pictures: Sequence[str],
    read: Callable[[Path], Recording] = read_events, progress: Callable[[str, int, int], None] | None = None,
) -> Overlap:  # fmt: skip
    """Compare every recording with every picture.

    The recordings must have been made with one motion of the eye, as data sets recorded from a screen are; how it was
    is found. Nothing declared does not say that nothing overlaps: recordings without such a motion match nothing.

    Args:
        root: folder of the recordings.
        names: of the recordings in it.
        source: of the pictures.
        pictures: their names in the source.
        read: how a recording is read.
        progress: called with (what is done, how far, of how many).

    Raises:
        InputError: no recordings, fewer than `LEAST_PICTURES` pictures, recordings of several sensors, or more than
            memory takes.
        MissingDependency: pillow is not installed.
    """
    show = progress or _silent
    if not names or len(pictures) < LEAST_PICTURES:
        there = f"{counted(len(names), 'recording')}, {counted(len(pictures), 'picture')}"
        raise InputError(f"{there}: give one and {LEAST_PICTURES} or more, as few pictures tell too little")
    maps, kept, sensor, skipped = _read_all(root, names, read, show)
    grid = grid_of(sensor)
    if (size := 8 * len(pictures) * grid[0] * grid[1]) > MAX_BYTES:
        raise InputError(f"{len(pictures)} pictures take {size} bytes, at most {MAX_BYTES}: compare fewer at a time")
    few = np.linspace(0, len(maps) - 1, min(SAMPLE, len(maps))).round().astype(np.int64)
    scale = _scale(maps[few], source, pictures, grid, show)
    levels, broken = _levels(source, pictures, grid, scale, show)
    motion = np.zeros((SLICES, 2))
    ranking = rank(maps[few], picture_gradients(levels, BLUR_FIRST), motion)
    gradients = picture_gradients(levels, BLUR_THEN)
    for number in range(ROUNDS):
        show("finding the motion", number, ROUNDS)
        before, motion = motion, estimate_motion(maps[few], gradients, ranking)
        if (motion == before).all():
            break
        ranking = rank(maps[few], gradients, motion)
    show("comparing", 0, len(maps))
    return _verdict(rank(maps, gradients, motion), kept, tuple(pictures), scale, motion, (*skipped, *broken))


def _scale(
    maps: Maps, source: ImageSource, pictures: Sequence[str], grid: tuple[int, int],
    show: Callable[[str, int, int], None],
) -> float:  # fmt: skip
    """The scale at which the best pictures explain most of the recordings; some of the pictures are enough for it."""
    count = min(len(pictures), LOOKED_AT)
    some = [pictures[i * len(pictures) // count] for i in range(count)]
    explained = []
    for number, scale in enumerate(SCALES):
        show("finding the scale", number, len(SCALES))
        levels, _ = _levels(source, some, grid, scale, _silent)
        found = rank(maps, picture_gradients(levels, BLUR_FIRST), np.zeros((SLICES, 2)))
        explained.append(float(found.scores[:, 0].mean()))
    return SCALES[int(np.argmax(explained))]


def _verdict(
    ranking: Ranking, names: tuple[str, ...], pictures: tuple[str, ...], scale: float, motion: NDArray[np.float64],
    skipped: tuple[tuple[str, str], ...],
) -> Overlap:  # fmt: skip
    """Raise the threshold until the decoys above it are at most `ACCEPTED` of what is declared."""
    threshold = DECLARED
    for level in np.sort(ranking.decoy[ranking.decoy > DECLARED]):
        if (ranking.decoy > threshold).sum() <= ACCEPTED * (ranking.lead > threshold).sum():
            break
        threshold = float(level)
    decoys = int((ranking.decoy > threshold).sum())
    return Overlap(
        names, pictures, ranking.pictures[:, 0], ranking.scores[:, 0], ranking.lead, decoys, threshold, scale, motion,
        skipped,
    )  # fmt: skip


def _read_all(
    root: Path, names: Sequence[str], read: Callable[[Path], Recording], show: Callable[[str, int, int], None]
) -> tuple[Maps, tuple[str, ...], tuple[int, int], list[tuple[str, str]]]:
    """Maps [N, K, h, w] of the recordings that can be read, their names, the sensor's size, and the others with why."""
    sensor: tuple[int, int] | None = None
    maps, kept, skipped = list[Maps](), list[str](), list[tuple[str, str]]()
    for number, name in enumerate(names):
        show("reading recordings", number, len(names))
        try:
            recording = read(root / name)
        except FileFormatError as error:
            skipped.append((name, str(error)))
            continue
        size = recording.sensor_size
        if size is None:
            raise InputError(f"{root / name} does not state the sensor's size: give sensor_size (--sensor-size)")
        if sensor is not None and size != sensor:
            raise InputError(f"{root / name} is of a sensor {size}, the others {sensor}: give data of one sensor")
        sensor = size
        if not len(recording.events):
            skipped.append((name, "holds no events"))
            continue
        maps.append(recording_maps(recording.events, size, grid_of(size)))
        kept.append(name)
        if len(maps) * maps[0].nbytes > MAX_BYTES:
            raise InputError(
                f"more than {len(maps)} recordings take more than {MAX_BYTES} bytes: compare fewer at a time"
            )
    if not maps or sensor is None:
        raise InputError(f"{root}: none of {counted(len(names), 'recording')} can be read: {skipped[0][1]}")
    return np.stack(maps), tuple(kept), sensor, skipped


def _levels(
    source: ImageSource, names: Sequence[str], grid: tuple[int, int], scale: float,
    show: Callable[[str, int, int], None],
) -> tuple[NDArray[np.uint8], list[tuple[str, str]]]:  # fmt: skip
    """The pictures in the grid, uint8 [M, h, w], black for one that cannot be read; and those with why."""
    resize = Resize(max(2, round(scale * min(grid))))
    made, broken = np.zeros((len(names), *grid), np.uint8), []
    for number, name in enumerate(names):
        show("reading pictures", number, len(names))
        try:
            made[number] = in_grid(decode_picture(source.read(name), resize, name).max(axis=2), grid)
        except FileFormatError as error:
            broken.append((name, str(error)))
    return made, broken


def _silent(what: str, done: int, total: int) -> None:
    """Where nobody listens."""
