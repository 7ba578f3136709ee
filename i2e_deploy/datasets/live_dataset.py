"""Images converted when asked, in the worker."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from i2e_deploy.conversion.sensor import Sensor
from i2e_deploy.conversion.stream import events_to_frames
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import DEFAULT_ORDER
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.plan import Settings, make_plan
from i2e_deploy.datasets.seeing import Seeing
from i2e_deploy.datasets.shard_dataset import shared_counter
from i2e_deploy.datasets.sources import open_source


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Images converted on the fly: (frames uint8 0/1 [T, 2, size, size], channel 0 = OFF; label).

    What sample i of epoch e draws depends on (seed, e, i) only, not on workers or order. Call `set_epoch`
    before each epoch (also with persistent workers).

    Args:
        source: folder tree by class, .zip, .tar, .parquet, see `sources`.
        ratio: S_th0.
        resize: how pictures get their size; give one, so that samples can be stacked.
        train: draw the placement of every saccade anew in each epoch.
        sensor: realism to add; its pixels are fixed by `seed`, its noise is drawn anew in each epoch.
        seed: of all draws.
        order: time order of the saccade lengths.
        steps: T.
        split: only names below this folder, e.g. `"train"`.

    Raises:
        InputError: no images, or wrong settings.
    """

    def __init__(
        self,
        source: str | Path,
        ratio: Fraction | float | str,
        resize: Resize,
        *,
        train: bool = True,
        sensor: Sensor | None = None,
        seed: int = 0,
        order: tuple[str, ...] = DEFAULT_ORDER,
        steps: int = 8,
        split: str | None = None,
    ) -> None:
        self._source, self._resize, self._train, self._seed = str(source), resize, train, seed
        self._seeing = Seeing(as_ratio(ratio), steps, order, sensor, copy=seed)
        names = open_source(self._source).names()
        plan = make_plan([name for name in names if split is None or name.startswith(f"{split}/")], Settings(ratio))
        self.classes = plan.classes
        self._items = [pair for shard in plan.shards for pair in zip(shard.names, shard.labels, strict=True)]
        self._epoch = shared_counter()

    def set_epoch(self, epoch: int) -> None:
        """Choose the draws of the next pass; workers that live on see it too."""
        self._epoch[0] = epoch

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        name, label = self._items[index]
        image = decode_picture(open_source(self._source).read(name), self._resize, name).transpose(2, 0, 1)
        rng = np.random.default_rng([self._seed, int(self._epoch), index % len(self)])
        placed = rng if self._train else None
        if self._seeing.sensor is None:
            return torch.from_numpy(self._seeing.frames(image, placed)), label
        events, (height, width) = self._seeing.events(image, rng, placed), image.shape[1:]
        frames = events_to_frames(events, self._seeing.steps, height, width, self._seeing.saccade_us)
        return torch.from_numpy(frames), label
