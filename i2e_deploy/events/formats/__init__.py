"""The event file formats, by name, by content and by suffix."""

from __future__ import annotations

from pathlib import Path

from i2e_deploy.errors import InputError
from i2e_deploy.events.formats import (
    aedat2,
    aedat4,
    aedat31,
    csv_file,
    dat,
    dsec,
    es,
    evt2,
    evt3,
    evt21,
    hdf5_file,
    metavision,
    nmnist,
    numpy_files,
    ros,
)
from i2e_deploy.events.formats.base import Damaged, Format
from i2e_deploy.events.formats.raw_header import read_raw_header
from i2e_deploy.events.options import ReadOptions

FORMATS: dict[str, Format] = {
    format_.name: format_
    for format_ in (
        aedat4.FORMAT,
        evt2.FORMAT,
        dat.FORMAT,
        es.FORMAT,
        csv_file.FORMAT,
        evt21.FORMAT,
        evt3.FORMAT,
        nmnist.FORMAT,
        aedat31.FORMAT,
        aedat2.FORMAT,
        aedat2.FIRST_FORMAT,
        numpy_files.NPZ,
        numpy_files.NPY,
        dsec.FORMAT,
        hdf5_file.FORMAT,
        metavision.FORMAT,
        ros.BAG,
        ros.MCAP,
    )
}
#: Names of the formats that are written too.
WRITTEN = tuple(name for name, format_ in FORMATS.items() if format_.write is not None)
#: `.txt` may be anything: such a file is read where it is named, but is no recording of a folder by its name alone.
_TEXT = ".txt"
#: Endings of names that a format claims; `.raw` is identified by its header.
SUFFIXES = tuple(sorted({".raw", *(s for format_ in FORMATS.values() for s in format_.suffixes)} - {_TEXT}))

#: First bytes of the formats that have such, whatever the file is called.
_MAGIC = {
    b"#!AER-DAT1.0": "aedat1",
    b"#!AER-DAT2.0": "aedat2",
    b"#!AER-DAT3.1": "aedat3.1",
    b"#!AER-DAT4.0": "aedat4",
    b"Event Stream": "es",
    b"\x93NUMPY": "npy",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"#ROSBAG V2.0": "rosbag",
    b"\x89MCAP0\r\n": "mcap",
}


def find_format(path: Path, options: ReadOptions) -> Format:
    """The format that the caller names, else the one that the first bytes say, else the suffix (`.raw`: the header).

    Raises:
        InputError: unknown name or suffix.
        Damaged: `.raw` with a header that cannot be read.
    """
    if options.format is not None:
        return _named(options.format)
    by_content = sniff(path)
    if by_content is not None:
        return FORMATS[by_content]
    suffix = path.suffix.lower()
    if suffix == ".raw":
        version = read_raw_header(path).version
        if version is None:
            names = ", ".join(options.word("format", name) for name in ("evt2", "evt2.1", "evt3"))
            raise Damaged(f"no header names its version: give one of {names}", 0)
        return FORMATS[version]
    return _by_suffix(path)


def sniff(path: Path) -> str | None:
    """Name of the format that the first bytes of a file say; None: they say none."""
    with path.open("rb") as file:
        head = file.read(16)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def claims(path: Path) -> bool:
    """Whether the first bytes of a file, or the ending of its name, say that it holds events."""
    return sniff(path) is not None or path.suffix.lower() in (*SUFFIXES, _TEXT)


def format_to_write(path: Path, name: str | None) -> Format:
    """The format of that name, or the one that the suffix says; `.raw` is EVT3.

    Raises:
        InputError: unknown name or suffix, or a format that is only read.
    """
    if name is None and path.suffix.lower() == ".raw":
        name = "evt3"
    format_ = _named(name) if name is not None else _by_suffix(path, writing=True)
    if format_.write is None:
        raise InputError(f"{path}: {format_.name} is only read; written are {', '.join(WRITTEN)}")
    return format_


def _named(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"no event file format {name!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def _by_suffix(path: Path, writing: bool = False) -> Format:
    suffix = path.suffix.lower()
    found = [format_ for format_ in FORMATS.values() if suffix in format_.suffixes]
    found = [format_ for format_ in found if format_.write is not None or not writing] or found
    if not found:
        raise InputError(f"{path}: suffix {suffix!r} names no event file format; known: {', '.join(SUFFIXES)}, {_TEXT}")
    return found[0]
