"""Pictures, archives of pictures, and tables: pictures in Parquet, and shards."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_kind import SOME, Kind, Read
from fuzz_seeds import picture


def pictures(folder: Path) -> list[Kind]:
    """A kind for each format of pictures."""
    from i2e_deploy.datasets.picture import FORMATS, Resize, decode_picture

    del folder

    def read(path: Path) -> str:
        decode_picture(path.read_bytes(), Resize(16), path.name)
        return "read"

    return [Kind(f"picture {kind}", "pictures", f".{kind.lower()}", (picture(kind),), read) for kind in FORMATS]


def archives(folder: Path) -> list[Kind]:
    """Zip and tar."""
    import tarfile

    from i2e_deploy.datasets.sources import TarSource, ZipSource

    files = {"train/cat/a.png": picture("PNG"), "train/dog/b.jpg": picture("JPEG")}
    packed, plain = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # else it holds the time
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))

    def reader(kind: type[ZipSource] | type[TarSource]) -> Read:
        def read(path: Path) -> str:
            source = kind(path)
            for name in source.names()[:SOME]:
                source.read(name)
            return "read"

        return read

    del folder
    return [
        Kind("archive zip", "archives", ".zip", (packed.getvalue(),), reader(ZipSource)),
        Kind("archive tar", "archives", ".tar", (plain.getvalue(),), reader(TarSource)),
    ]


def tables(folder: Path) -> list[Kind]:
    """Shards, and pictures in Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    from i2e_deploy.conversion.engine import convert
    from i2e_deploy.conversion.vectors import kernel_table, saccades
    from i2e_deploy.datasets.item import encode_item
    from i2e_deploy.datasets.shard_dataset import Shards
    from i2e_deploy.datasets.sources import ParquetSource

    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), dtype=np.uint8)
    packed = convert(pixels, "0.12", kernel_table(saccades()), packed=True, on_first=True, threads=1)
    item = encode_item(packed[0], (8, 2, 8, 8))
    write: Any = parquet.write_table
    rows = {"file_path": ["a", "b"], "label": [0, 1], "data": [item, item]}
    write(pa.table(rows), folder / "s.parquet", compression="zstd", write_page_checksum=True)
    write(pa.table(rows), folder / "t.parquet", compression="snappy", row_group_size=1)
    cells = [{"bytes": picture("PNG"), "path": "x"}, {"bytes": picture("JPEG"), "path": "y"}]
    write(pa.table({"image": cells, "label": [0, 1]}), folder / "p.parquet")

    def shards(path: Path) -> str:
        found = Shards(path)
        for number in range(min(len(found.groups), SOME)):
            for row, pair in enumerate(found.read(number)[:SOME]):
                found.sample(number, row, pair)
        return "read"

    def source(path: Path) -> str:
        found = ParquetSource([path])
        for name in found.names()[:SOME]:
            found.read(name)
        return "read"

    both = tuple((folder / f"{name}.parquet").read_bytes() for name in "st")
    return [
        Kind("shards", "shards", ".parquet", both, shards),
        Kind("pictures parquet", "archives", ".parquet", ((folder / "p.parquet").read_bytes(),), source),
    ]
