"""Write one Parquet shard: read, decode, convert, pack, and rename when it is complete."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.engine import convert
from i2e_deploy.conversion.vectors import kernel_table, saccades
from i2e_deploy.datasets.item import encode_item
from i2e_deploy.datasets.picture import decode_picture
from i2e_deploy.datasets.plan import Settings, Shard
from i2e_deploy.datasets.sources import ImageSource, open_source, parquet_module
from i2e_deploy.errors import FileFormatError
from i2e_deploy.files import naming
from i2e_deploy.text import one_line

#: Folder inside the output that holds unfinished work; gone when the conversion is complete.
PROGRESS = ".progress"


class Readable(Protocol):
    """The part of `ImageSource` that gives bytes."""

    def read(self, name: str) -> bytes:
        """See `ImageSource.read`."""
        ...


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs; small enough to send anywhere."""

    source: str
    out: str
    settings: Settings
    classes: tuple[str, ...]
    shard: Shard


@dataclass(frozen=True)
class ShardReport:
    """What was written.

    Args:
        file: name of the shard.
        rows: pictures in it.
        bytes: of the file.
        sha256: of the file.
        skipped: (name, reason) of each broken image.
        error: why nothing was written.
        content: SHA-256 of the names and bytes of the pictures that it was made of, see `content_of`; empty in what
            version 0.1.0 wrote.
    """

    file: str
    rows: int = 0
    bytes: int = 0
    sha256: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    error: str = ""
    content: str = ""


def write_shard(task: ShardTask) -> ShardReport:
    """Write one shard and its report; safe to repeat, and to kill at any moment.

    The order matters: the report is renamed into place before the shard, so a shard that exists under
    its name is complete and has its report.
    """
    folder, progress = Path(task.out), Path(task.out) / PROGRESS
    temporary = progress / f"{task.shard.file}.{os.getpid()}.tmp"
    try:
        with naming(folder / task.shard.file, temporary):
            source = _Hashed(open_source(task.source))
            rows, skipped = _write_rows(task, source, temporary)
            digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
            size, content = temporary.stat().st_size, source.hash.hexdigest()
            report = ShardReport(task.shard.file, rows, size, digest, tuple(skipped), content=content)
            write_json(progress / f"{task.shard.file}.json", asdict(report), progress)
            os.replace(temporary, folder / task.shard.file)
    except FileFormatError as error:
        return ShardReport(task.shard.file, error=str(error))
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return report


def read_report(folder: Path, file: str) -> ShardReport | None:
    """The report of a complete shard, or None if the shard is still to be written."""
    sidecar = folder / PROGRESS / f"{file}.json"
    if not (folder / file).exists() or not sidecar.exists():
        return None
    try:
        record = json.loads(sidecar.read_text(encoding="utf-8"))
        record["skipped"] = tuple((name, reason) for name, reason in record["skipped"])
        return ShardReport(**record)
    except (ValueError, KeyError, TypeError, RecursionError):  # damaged: the shard is written again
        return None


def write_json(path: Path, record: Any, progress: Path) -> None:
    """Write a JSON file under another name in the folder `progress`, flush it to disk, rename it."""
    temporary = progress / f"{path.name}.{os.getpid()}.tmp"
    try:
        with naming(path, temporary):
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(record, file, indent=1, sort_keys=True)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


class _Hashed:
    """A source that hashes what is read of it, in order.

    Args:
        source: what is read.
    """

    def __init__(self, source: ImageSource) -> None:
        self._source, self.hash = source, hashlib.sha256()

    def read(self, name: str) -> bytes:
        """See `ImageSource.read`; a picture that cannot be read counts as one without a length."""
        self.hash.update(f"{len(name.encode())} {name} ".encode())
        data = self._source.read(name)
        self.hash.update(f"{len(data)} ".encode() + data)
        return data


def content_of(source: ImageSource, names: tuple[str, ...]) -> str:
    """SHA-256 of the names and bytes of pictures, in order."""
    hashed = _Hashed(source)
    for name in names:
        with contextlib.suppress(FileFormatError):
            hashed.read(name)
    return hashed.hash.hexdigest()


def check_shard(task: ShardTask, content: str) -> str:
    """Why a finished shard is not of the pictures that are there now, or "".

    A shard of version 0.1.0 has no `content`: its pictures are converted again and its rows compared.
    """
    source = open_source(task.source)
    if content:
        return "" if content_of(source, task.shard.names) == content else "was made of other pictures of the same names"
    parquet = parquet_module("reading Parquet shards")
    with tempfile.TemporaryDirectory() as folder:
        anew = Path(folder) / task.shard.file
        try:
            _write_rows(task, source, anew)
            same = parquet.read_table(anew).equals(parquet.read_table(Path(task.out) / task.shard.file))
        except (FileFormatError, OSError, ValueError) as error:
            return f"cannot be compared with what its pictures give now ({one_line(error)})"
    return "" if same else "does not hold what its pictures give now (version 0.1.0 noted no content)"


def _write_rows(task: ShardTask, source: Readable, path: Path) -> tuple[int, list[tuple[str, str]]]:
    """All row groups of a shard; returns the number of rows and what was skipped."""
    import pyarrow as pa

    parquet, schema = parquet_module("writing Parquet shards"), _schema(task.classes)
    rows, skipped = 0, []
    # Statistics of a binary column would repeat whole items in the headers.
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}
    with path.open("wb") as file:
        with parquet.ParquetWriter(file, schema, **options) as writer:
            for start in range(0, len(task.shard.names), task.settings.row_group):
                names, labels, items = [], [], []
                for position in range(start, min(start + task.settings.row_group, len(task.shard.names))):
                    name = task.shard.names[position]
                    try:
                        items.append(_convert_one(source, name, task.settings))
                    except FileFormatError as error:
                        if task.settings.on_broken == "fail":
                            raise
                        skipped.append((name, str(error)))
                        continue
                    names.append(name)
                    labels.append(task.shard.labels[position])
                columns = [pa.array(names, pa.string()), pa.array(labels, pa.int64()), pa.array(items, pa.binary())]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                rows += len(names)
        file.flush()
        os.fsync(file.fileno())
    return rows, skipped


def _convert_one(source: Readable, name: str, settings: Settings) -> bytes:
    """One image to an item."""
    pixels = decode_picture(source.read(name), settings.resize, name)
    table = _table(settings.order, settings.steps)
    planar = pixels.transpose(2, 0, 1)[None]
    packed = convert(planar, settings.ratio, table, packed=True, on_first=True, threads=1)
    return encode_item(packed[0], (settings.steps, 2, pixels.shape[0], pixels.shape[1]))


@lru_cache
def _table(order: tuple[str, ...], steps: int) -> NDArray[np.int64]:
    return kernel_table(saccades(order, steps))


def _schema(classes: tuple[str, ...]) -> Any:
    """The columns of the authors' release, with the class names where `datasets` looks for them."""
    import pyarrow as pa

    label = {"names": list(classes), "_type": "ClassLabel"} if classes else {"dtype": "int64", "_type": "Value"}
    features = {
        "file_path": {"dtype": "string", "_type": "Value"},
        "label": label,
        "data": {"dtype": "binary", "_type": "Value"},
    }
    fields = [("file_path", pa.string()), ("label", pa.int64()), ("data", pa.binary())]
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(fields, metadata=metadata)
