"""The event file formats, by name and by suffix."""

from __future__ import annotations

from pathlib import Path

from i2e_deploy.errors import InputError
from i2e_deploy.events.formats import (
    aedat4,
    aedat31,
    csv_file,
    dat,
    dsec,
    es,
    evt2,
    evt3,
    evt21,
    nmnist,
    numpy_files,
)
from i2e_deploy.events.formats.base import Damaged, Format
from i2e_deploy.events.formats.raw_header import read_raw_header

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
        numpy_files.NPZ,
        numpy_files.NPY,
        dsec.FORMAT,
    )
}
#: Endings of names that a format claims; `.raw` is identified by its header.
SUFFIXES = tuple(sorted({".raw", *(suffix for format_ in FORMATS.values() for suffix in format_.suffixes)}))


def find_format(path: Path, name: str | None, writing: bool) -> Format:
    """The format of that name, or the one that the suffix (for `.raw`: the header) says.

    Raises:
        InputError: unknown name or suffix.
        Damaged: `.raw` with a header that cannot be read.
    """
    if name is not None:
        if name not in FORMATS:
            raise InputError(f"no event file format {name!r}: choose one of {', '.join(FORMATS)}")
        return FORMATS[name]
    suffix = path.suffix.lower()
    if suffix == ".raw":
        version = "evt3" if writing else read_raw_header(path).version
        if version is None:
            raise Damaged('no header names its version: give format="evt2", "evt2.1" or "evt3"', 0)
        return FORMATS[version]
    for format_ in FORMATS.values():
        if suffix in format_.suffixes:
            return format_
    raise InputError(f"{path}: suffix {suffix!r} names no event file format; known: {', '.join(SUFFIXES)}")
