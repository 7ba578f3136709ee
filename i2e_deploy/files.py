"""Read and write files without surprises: whole or not at all, limits before memory, data only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import FileFormatError, InputError

#: Largest file that is read into memory.
MAX_BYTES = 4 * 2**30


def check_exists(path: Path) -> None:
    """Raise InputError unless `path` is a file of a readable size."""
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes: at most {MAX_BYTES} are read")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and goes when it does not."""
    if not path.parent.is_dir():
        raise InputError(f"no such folder: {path.parent}")
    temporary = _hidden(path, "tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing` for a folder. `path` may exist: it is swapped out whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = _hidden(path, "tmp"), _hidden(path, "old")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _hidden(path: Path, suffix: str) -> Path:
    """A name beside `path` that no other process uses."""
    return path.with_name(f".{path.name}.{os.getpid()}.{suffix}")


def sha256(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


#: The one key of a file's metadata: several would be stored in random order, and equal files would differ.
METADATA_KEY = "i2e_deploy"


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Write NumPy arrays and JSON-able metadata as a safetensors file; the same content gives the same bytes."""
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        save_file(
            {name: np.ascontiguousarray(array) for name, array in tensors.items()},
            temporary,
            {METADATA_KEY: json.dumps(metadata)},
        )


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and metadata of a safetensors file.

    Raises:
        InputError: no such file.
        FileFormatError: not a whole safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    check_exists(path)
    data = path.read_bytes()
    try:
        tensors = load(data)
        (length,) = struct.unpack("<Q", data[:8])
        metadata = json.loads(json.loads(data[8 : 8 + length]).get("__metadata__", {}).get(METADATA_KEY, "{}"))
    except (SafetensorError, ValueError, KeyError, RecursionError, struct.error) as error:
        raise FileFormatError(f"{path} is not a whole safetensors file: {error}") from error
    return tensors, metadata if isinstance(metadata, dict) else {}


def read_array(path: Path) -> Any:
    """The one array of a `.npy` file, memory-mapped, never unpickled.

    Raises:
        InputError: no such file.
        FileFormatError: not a whole `.npy` file, or one that holds objects.
    """
    check_exists(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(f"{path} is not a whole .npy file of numbers: {error}") from error
