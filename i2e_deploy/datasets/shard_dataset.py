"""Converted shards as torch data sets: ours and the authors' released ones, at random or as a stream."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from i2e_deploy.datasets.item import decode_item
from i2e_deploy.datasets.sources import check_row_group, open_parquet
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.text import one_line

#: What a sample goes through before it is returned: uint8 [T, 2, H, W] to anything.
Transform = Callable[[Tensor], Any]


def shared_counter() -> Tensor:
    """int64 [1] that a data set and its worker processes all see."""
    counter = torch.zeros(1, dtype=torch.int64)
    counter.share_memory_()  # type: ignore[no-untyped-call]
    return counter


class Shards:
    """Parquet files with columns `data` and `label`, row group by row group; opened again in each process."""

    def __init__(self, folder: str | Path, split: str | None = None) -> None:
        root = Path(folder)
        self.paths = [root] if root.is_file() else sorted(root.glob(f"{split}-*.parquet" if split else "*.parquet"))
        if not self.paths:
            raise InputError(f"{root}: no shards {f'of the split {split!r} ' if split else ''}(*.parquet) there")
        self.groups: list[tuple[int, int]] = []
        self.starts, self.rows = [], 0
        for index, path in enumerate(self.paths):
            file = open_parquet(path)
            missing = {"data", "label"} - set(file.schema_arrow.names)
            if missing:
                raise FileFormatError(f"{path}: no column {sorted(missing)}, it has {file.schema_arrow.names}")
            for group in range(file.num_row_groups):
                check_row_group(file, group, path)
                self.groups.append((index, group))
                self.starts.append(self.rows)
                self.rows += file.metadata.row_group(group).num_rows
        self._files: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def read(self, number: int) -> list[tuple[bytes, int]]:
        """All (item, label) of a row group.

        Raises:
            FileFormatError: damaged, or a null where a value must be.
        """
        index, group = self.groups[number]
        if index not in self._files:
            self._files = {index: open_parquet(self.paths[index])}
        try:
            table = self._files[index].read_row_group(group, columns=["data", "label"], use_threads=False)
            pairs = list(zip(table.column("data").to_pylist(), table.column("label").to_pylist(), strict=True))
        except Exception as error:  # pyarrow: OSError, ArrowInvalid, ...
            raise FileFormatError(f"{self.paths[index]}: damaged row group {group} ({one_line(error)})") from None
        if len(pairs) != self._files[index].metadata.row_group(group).num_rows:
            raise FileFormatError(
                f"{self.paths[index]}: row group {group} has {len(pairs)} rows, it states another number"
            )
        # A column `data` of `datasets` may be a struct with `bytes`.
        pairs = [(data.get("bytes") if isinstance(data, dict) else data, label) for data, label in pairs]
        if not all(isinstance(data, bytes) and isinstance(label, int) for data, label in pairs):
            raise FileFormatError(f"{self.paths[index]}: row group {group} has rows without bytes or label")
        return pairs

    def names_and_labels(self, index: int) -> tuple[list[str | None], list[int]]:
        """Of every row of a file: its picture, None where the file does not say it, and its label.

        Raises:
            FileFormatError: damaged, or a null for a label.
        """
        path = self.paths[index]
        file = open_parquet(path)
        columns = [name for name in ("file_path", "label") if name in file.schema_arrow.names]
        try:
            table = file.read(columns=columns, use_threads=False)
            labels = table.column("label").to_pylist()
            names = table.column("file_path").to_pylist() if "file_path" in columns else [None] * len(labels)
        except Exception as error:  # pyarrow: OSError, ArrowInvalid, ...
            raise FileFormatError(f"{path}: damaged names or labels ({one_line(error)})") from None
        if len(labels) != file.metadata.num_rows or not all(type(label) is int for label in labels):
            raise FileFormatError(
                f"{path}: has {len(labels)} labels, some perhaps empty, of {file.metadata.num_rows} rows"
            )
        return names, labels

    def classes(self) -> tuple[str, ...]:
        """Names of the classes as the first file has them, where Hugging Face looks for them; () where it has none."""
        try:
            found = json.loads((open_parquet(self.paths[0]).schema_arrow.metadata or {}).get(b"huggingface", b"{}"))
            names = found["info"]["features"]["label"]["names"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ()
        whole = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
        return tuple(names) if whole and len(set(names)) == len(names) else ()

    def sample(self, number: int, row: int, pair: tuple[bytes, int]) -> tuple[Tensor, int]:
        """Decode one row."""
        index, group = self.groups[number]
        return torch.from_numpy(decode_item(pair[0], f"{self.paths[index]}, group {group}, row {row}")), pair[1]


class ShardDataset(Dataset[tuple[Any, int]]):
    """Random access: `dataset[i]` gives (frames uint8 0/1 [T, 2, H, W], channel 0 = OFF; label).

    Holds the last row group it read, so near indices are cheap; for shuffled training prefer `ShardStream`.

    Args:
        folder: shards, or one .parquet file.
        split: only shards called `<split>-*.parquet`.
        transform: applied to the frames.

    Raises:
        InputError: no shards there.
        FileFormatError: not Parquet, other columns, damaged or lying rows.
    """

    def __init__(self, folder: str | Path, split: str | None = None, transform: Transform | None = None) -> None:
        self._shards = Shards(folder, split)
        self._transform = transform
        self._held: tuple[int, list[tuple[bytes, int]]] = (-1, [])

    def __len__(self) -> int:
        return self._shards.rows

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} of a data set of {len(self)}")
        index %= len(self)
        number = bisect_right(self._shards.starts, index) - 1
        if self._held[0] != number:
            self._held = (number, self._shards.read(number))
        row = index - self._shards.starts[number]
        frames, label = self._shards.sample(number, row, self._held[1][row])
        return (self._transform(frames) if self._transform else frames), label


class ShardStream(IterableDataset[tuple[Any, int]]):
    """Shuffled stream for training: row groups in random order, samples mixed over several of them.

    The samples of an epoch are the same set for any number of workers; each worker takes every n-th row
    group of the shuffled list. Call `set_epoch` before each epoch (also with persistent workers).

    Args:
        folder: shards, or one .parquet file.
        split: only shards called `<split>-*.parquet`.
        transform: applied to the frames.
        seed: of the order; None: in the order of the files.
        mixed_groups: row groups whose samples are mixed at a time; more memory, better mixed.

    Raises:
        InputError: no shards there.
        FileFormatError: not Parquet, other columns, damaged or lying rows.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None = None,
        transform: Transform | None = None,
        seed: int | None = 0,
        mixed_groups: int = 8,
    ) -> None:
        self._shards = Shards(folder, split)
        self._transform, self._seed, self._mixed = transform, seed, mixed_groups
        self._epoch = shared_counter()

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass; workers that live on see it too."""
        self._epoch[0] = epoch

    def __len__(self) -> int:
        return self._shards.rows

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        worker, epoch = get_worker_info(), int(self._epoch)
        index, count = (worker.id, worker.num_workers) if worker else (0, 1)
        order: Sequence[int] | NDArray[np.int64] = range(len(self._shards.groups))
        if self._seed is not None:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(order))
        mine = [int(number) for number in order[index::count]]
        for start in range(0, len(mine), self._mixed):
            rows = [
                (number, row, pair)
                for number in mine[start : start + self._mixed]
                for row, pair in enumerate(self._shards.read(number))
            ]
            if self._seed is not None:
                mix = np.random.default_rng([self._seed, epoch, index, count, start]).permutation(len(rows))
                rows = [rows[i] for i in mix]
            for number, row, pair in rows:
                frames, label = self._shards.sample(number, row, pair)
                yield (self._transform(frames) if self._transform else frames), label
