"""Read and write files without surprises: whole or not at all, limits before memory, data only."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import struct
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from i2e_deploy.errors import FileFormatError, I2EDeployError, InputError
from i2e_deploy.text import one_line

#: Largest file that is read into memory.
MAX_BYTES = 4 * 2**30


def check_exists(path: Path, limit: int = MAX_BYTES) -> None:
    """Raise InputError unless `path` is a file of at most `limit` bytes."""
    if not path.is_file():
        raise InputError(f"{path} is a folder: give a file" if path.is_dir() else f"no such file: {path}")
    if path.stat().st_size > limit:
        raise InputError(f"{path} has {path.stat().st_size} bytes: at most {limit} are read")


def _mode_of_new_files() -> int:
    """As the process's mask has it; it can only be read by setting it, so once, before there are threads."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


#: safetensors 0.8 makes files that their owner alone may read; a bundle is read by whoever runs CI.
_NEW_FILE = _mode_of_new_files()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block succeeds, and is deleted when it fails.

    It gets the permissions of what it replaces, else those that a new file has.

    Raises:
        InputError: it cannot be written: no such folder, a full disk, a place that is only read; or it is no file.
    """
    if not path.parent.is_dir():
        raise InputError(f"no such folder: {path.parent}")
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of a file")
    if path.exists() and not path.is_file():  # a device would be replaced by a file
        raise InputError(f"{path} is a device, a pipe or a socket: give the name of a file")
    temporary = _hidden(path, "tmp")
    try:
        with naming(path, temporary):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # else the new name may outlive a power cut, and what it names may not
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else _NEW_FILE)
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # the first error counts
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing` for a folder. `path` may exist: it is swapped out whole, and stays when anything fails."""
    path = path.resolve()
    if not path.parent.is_dir():
        raise InputError(f"no such folder: {path.parent}")
    temporary, old = _hidden(path, "tmp"), _hidden(path, "old")
    try:
        with naming(path, temporary):
            temporary.mkdir()
            yield temporary
            if not (path.exists() and _exchanged(temporary, path)):
                if path.exists():
                    os.replace(path, old)
                os.replace(temporary, path)
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two names at once, so that a kill cannot come between; False where the system cannot (only Linux can)."""
    import ctypes

    try:
        call = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(call(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) == 0)


_NUMBERS = itertools.count()


def _hidden(path: Path, suffix: str) -> Path:
    """A name beside `path` that nobody else uses."""
    return path.with_name(f".{path.name}.{os.getpid()}.{next(_NUMBERS)}.{suffix}")


@contextlib.contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """What the system says against writing `path`, or what stands in for it until it is whole, as InputError.

    Rust libraries (faery, safetensors) say it in an error of their own that ends in "(os error 28)".
    """
    try:
        yield
    except I2EDeployError:
        raise
    except Exception as error:
        if isinstance(error, OSError):
            ours = {str(path), str(temporary or path)}
            if error.filename is not None and not any(str(error.filename).startswith(own) for own in ours):
                raise  # of another file
            reason = error.strerror or one_line(error)
        else:
            found = re.search(r"\(os error (\d+)\)", str(error))
            if found is None:
                raise
            reason = os.strerror(int(found[1]))
        raise InputError(f"{path} cannot be written: {reason}; what was there before is unchanged") from error


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


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write NumPy arrays as a compressed `.npz`, whole or not at all.

    `numpy.savez` leaves its archive open when the disk is full, and that complains later.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)  # type: ignore[no-untyped-call, unused-ignore]


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
        metadata = json.loads((json.loads(data[8 : 8 + length]).get("__metadata__") or {}).get(METADATA_KEY, "{}"))
    except (SafetensorError, ValueError, KeyError, AttributeError, TypeError, RecursionError, struct.error) as error:
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
        shape, fortran, dtype, offset = _npy_header(path)
    except Exception as error:  # NumPy parses the header as Python: SyntaxError, TokenError, MemoryError, ...
        reason = one_line(error)
        raise FileFormatError(f"{path} is not a whole .npy file of numbers: {reason}") from error
    wanted = prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or wanted != path.stat().st_size - offset:
        raise FileFormatError(
            f"{path} is not a whole .npy file of numbers: its header says {dtype} {list(shape)}, "
            f"{wanted} bytes, and {path.stat().st_size - offset} bytes follow"
        )
    if wanted == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def holds_frames(path: Path, flat: bool) -> bool:
    """Whether a file holds frames, an array in a `.npy` or `frames` in a `.npz`, and no recording.

    Args:
        path: the file.
        flat: the network takes no images: then an array of two dimensions is frames [T, N], else a table of events.
    """
    if path.suffix == ".npy":
        array = read_array(path)
        return not array.dtype.names and (flat or array.ndim != 2)
    return holds_arrays(path, "frames")


def holds_arrays(path: Path, *names: str) -> bool:
    """Whether a path is a `.npz` file with an array of one of these names; nothing of it is read."""
    if path.suffix != ".npz" or not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return not {f"{name}.npy" for name in names}.isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of a `.npz` file by name, never unpickled; their stated sizes are summed before memory is allocated.

    Raises:
        InputError: no such file, or more than `MAX_BYTES` once unpacked.
        FileFormatError: not a whole `.npz` file, or one that holds objects.
    """
    check_exists(path)
    arrays: dict[str, Any] = {}
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    shape, fortran, dtype = _npy_shape(member)
                    wanted = prod(shape) * dtype.itemsize
                    total += wanted
                    if total > MAX_BYTES:
                        raise InputError(f"{path} claims {total} bytes and more: at most {MAX_BYTES} are unpacked")
                    data = b"" if dtype.hasobject or min(shape, default=0) < 0 else member.read(wanted + 1)
                    if dtype.hasobject or len(data) != wanted:
                        raise ValueError(f"{name} says {dtype} {list(shape)} and holds other than {wanted} bytes")
                    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
                    arrays[name.removesuffix(".npy")] = array
    except InputError:
        raise
    except Exception as error:  # zipfile and NumPy's header parser raise a dozen kinds
        reason = one_line(error)
        raise FileFormatError(f"{path} is not a whole .npz file of numbers: {reason}") from error
    return arrays


def _npy_shape(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype of a `.npy` stream, which is then at its values."""
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call, unused-ignore]
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)  # type: ignore[no-untyped-call, unused-ignore]
    return shape, fortran, dtype


def _npy_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order, dtype of a `.npy` file and where its values begin."""
    with path.open("rb") as file:
        return (*_npy_shape(file), file.tell())
