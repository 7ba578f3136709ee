"""Weights out of a checkpoint of torch (`.pth.tar`, `.pt`, `.pth`), read as data: nothing in the file is run.

torch's reader for weights alone refuses files that hold other objects beside the weights, such as the options of the
training. Where it does, the file is read a second time with an empty stand-in under the name of each such class: what
they held is dropped and named, and no module of the file's choice is imported.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import MAX_BYTES, check_exists
from i2e_deploy.text import listed, one_line, record_repr

#: Where training scripts put the weights, in the order in which they are looked for.
KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
#: What wrappers of torch put in front of every name: data parallel, compiled.
PREFIXES = ("module.", "_orig_mod.")
#: Classes of other objects in a file, at most.
MOST_CLASSES = 100


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was read.

    Args:
        weights: float arrays and counters by name, as NumPy, without prefixes.
        key: where in the file they were; empty: the file holds nothing else.
        prefix: what was in front of every name.
        left_out: classes of objects that were not read.
        beside: what else the file holds beside the weights: names with numbers or words of one line.
    """

    weights: Mapping[str, Any]
    key: str
    prefix: str
    left_out: tuple[str, ...]
    beside: Mapping[str, str]

    __repr__ = record_repr


class _LeftOut:
    """Stands for an object of a class that is not read: takes whatever it is given and keeps none of it."""

    def __new__(cls, *_: Any, **__: Any) -> _LeftOut:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


def read_checkpoint(path: Path, key: str = "") -> Checkpoint:
    """Read the weights of a file that `torch.save` wrote.

    Args:
        path: at most 4 GiB, unpacked too.
        key: of the weights, with dots for dicts in dicts; empty: looked for.

    Raises:
        InputError: no such file, or no such weights in it.
        FileFormatError: not such a file, damaged, or one whose weights cannot be read as data.
    """
    check_exists(path)
    _check_unpacked(path)
    content, left_out = _load(path)
    at, state = _state_dict(path, content, key)
    prefix = ""
    while found := next((p for p in PREFIXES if all(name.startswith(p) for name in state)), ""):
        prefix, state = prefix + found, {name[len(found) :]: value for name, value in state.items()}
    weights = {name: _as_array(path, name, value) for name, value in state.items()}
    beside = {} if at == "" else {str(n): s for n, v in content.items() if n != at and (s := _said(v))}
    return Checkpoint(weights, at, prefix, left_out, beside)


def _check_unpacked(path: Path) -> None:
    """What an archive says that it unpacks to."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise FileFormatError(f"{path} is damaged: {one_line(error)}") from error
    if size > MAX_BYTES:
        raise FileFormatError(f"{path} unpacks to {size} bytes: at most {MAX_BYTES} are read")


def _load(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The content, and the classes that were left out."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True), ()
    except Exception as first:  # torch raises many kinds for what is no weights, or damaged
        names = _others(path)
        if not names:
            raise _refused(path, first) from first
        try:
            with torch.serialization.safe_globals([(_LeftOut, name) for name in names]):
                return torch.load(path, map_location="cpu", weights_only=True), names
        except Exception as second:
            raise _refused(path, second) from second


def _others(path: Path) -> tuple[str, ...]:
    """Classes and functions that the file names and torch does not know as data."""
    import torch

    try:
        found = tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path))))
    except Exception:  # an old file that is no archive, or no file of torch's at all
        return ()
    return found if len(found) <= MOST_CLASSES else ()


def _refused(path: Path, error: Exception) -> FileFormatError:
    text = " ".join(str(error).split("trusted source.")[-1].split())  # what torch says after its advice
    said = text.split("Please file an issue")[0].split("Check the documentation")[0].strip()[:300]
    return FileFormatError(
        f"{path} cannot be read as weights ({type(error).__name__}: {said}): where you trust it, load it in torch and "
        "save its state dict alone, torch.save(model.state_dict(), FILE)"
    )


def _state_dict(path: Path, content: Any, key: str) -> tuple[str, dict[str, Any]]:
    """Where the weights are, and they."""
    if key:
        found = content
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise InputError(f"{path} holds no {key!r}: it holds {_names(content)}")
            found = found[part]
        if not _is_state(found):
            raise InputError(f"{path}: {key!r} holds no weights alone: it holds {_names(found)}")
        return key, dict(found)
    if _is_state(content):
        return "", dict(content)
    for name in KEYS:
        if isinstance(content, Mapping) and _is_state(content.get(name)):
            return name, dict(content[name])
    raise InputError(f"{path} holds no weights under {', '.join(KEYS)}: it holds {_names(content)}; say where (--key)")


def _is_state(value: Any) -> bool:
    import torch

    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(n, str) and isinstance(v, torch.Tensor) for n, v in value.items())
    )


def _names(content: Any) -> str:
    return listed([str(name) for name in content]) if isinstance(content, Mapping) else type(content).__name__


def _as_array(path: Path, name: str, value: Any) -> Any:
    """A dense tensor that is no larger than what the file has of it."""
    import torch

    if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_nested:
        raise FileFormatError(f"{path}: {name} is {value.dtype}, {value.layout}: dense real weights are read")
    if value.device.type != "cpu" or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise FileFormatError(f"{path} is damaged: {name} claims {list(value.shape)}, and holds less")
    value = value.detach()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _said(value: Any) -> str:
    """A number or a word in one line; empty for all else."""
    return " ".join(str(value).split())[:80] if isinstance(value, (bool, int, float, str)) else ""
