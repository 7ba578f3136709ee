"""DSEC's HDF5, written over h5py: group `events` with x, y, t, p, and the scalar `t_offset`; read by `hdf5_file`.

`t` is uint32 us from `t_offset`; `ms_to_idx[k]` is the first event at or after k ms. Source: dsec.ifi.uzh.ch, "Data
Format".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from i2e_deploy.events.array import Events
from i2e_deploy.events.formats.base import Damaged, Format
from i2e_deploy.events.formats.hdf5_file import open_hdf5, streams
from i2e_deploy.events.options import SensorSize
from i2e_deploy.hdf5_write import writing

_FIELDS = ("t", "x", "y", "p")


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    offset, count, index = 0, 0, [0]
    with writing(path) as (file, check_disk):
        file.attrs["width"], file.attrs["height"] = size
        group = file.create_group("events")
        for name, dtype in zip(_FIELDS, ("u4", "u2", "u2", "u1"), strict=True):
            group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(2**16,), compression="gzip",
                                 compression_opts=1, shuffle=True)  # fmt: skip
        for packet in packets:
            if count == 0 and len(packet):
                offset = int(packet["t"][0])
            t = packet["t"] - offset
            if len(t) and t[-1] >= 2**32:
                raise Damaged(f"spans {int(t[-1])} us: DSEC holds at most 2^32 - 1", None)
            for name in _FIELDS:
                group[name].resize((count + len(packet),))
                group[name][count:] = t if name == "t" else packet[name]
            if len(t):
                steps = np.arange(len(index), int(t[-1]) // 1000 + 1)
                index.extend((count + np.searchsorted(t, steps * 1000)).tolist())
            count += len(packet)
            check_disk()
        file["t_offset"] = np.int64(offset)
        file["ms_to_idx"] = np.array(index, np.uint64)


FORMAT = Format(
    "dsec", (".h5", ".hdf5"), open_hdf5, _write, (2**62, 2**16 - 1, 2**16 - 1), streams=streams,
    decoder="h5py, in a child", encoder="h5py", remarks="the layout that is written where the name ends in `.h5`",
)  # fmt: skip
