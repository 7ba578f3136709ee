"""Tables that say something of samples by name: `name,label`, `name,source`, `name,value,value`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import check_exists

#: Largest table that is read, bytes.
MAX_BYTES = 2**30
#: First cell of a first line that is a head and no sample.
HEADS = ("file", "file_name", "file_path", "filename", "id", "image", "name", "path", "recording", "sample")


def read_table(path: Path, columns: int | None) -> dict[str, tuple[str, ...]]:
    """What a CSV file (UTF-8, commas) says of each name.

    Args:
        path: the file. A first line that begins with one of `HEADS` is a head.
        columns: beside the name; None: as many as the first line has, one at least.

    Returns:
        By name, in the order of the file; cells without blanks around them.

    Raises:
        InputError: no such file.
        FileFormatError: no text, larger than `MAX_BYTES`, a line of another length, an empty name, a name twice, or no
            line at all.
    """
    check_exists(path, MAX_BYTES)
    found: dict[str, tuple[str, ...]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                cells = [cell.strip() for cell in row]
                if not any(cells) or (not found and reader.line_num == 1 and cells[0].lower() in HEADS):
                    columns = len(cells) - 1 if columns is None and any(cells) else columns
                    continue
                columns = len(cells) - 1 if columns is None else columns
                if len(cells) != columns + 1 or columns < 1 or not cells[0]:
                    expected = f"a name and {max(columns, 1)} more"
                    raise FileFormatError(f"{path}, line {reader.line_num}: {len(cells)} cells, expected {expected}")
                if cells[0] in found:
                    raise FileFormatError(f"{path}, line {reader.line_num}: {cells[0]!r} stands there twice")
                found[cells[0]] = tuple(cells[1:])
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path} is no CSV file in UTF-8 ({error})") from None
    if not found:
        raise FileFormatError(f"{path} holds no line with a name")
    return found


def rows_of(table: Mapping[str, tuple[str, ...]], names: Sequence[str], path: Path) -> list[tuple[str, ...]]:
    """What the table says of each of the names.

    A line names a sample by its path in the data set, by its file name, or by that without the ending.

    Raises:
        InputError: a sample that the table lacks, or a line that names two samples; `path` names the table.
    """
    found, keys = [], []
    without = []
    for name in names:
        pure = PurePosixPath(name)
        key = next((key for key in (name, pure.name, pure.stem) if key in table), None)
        if key is None:
            without.append(name)
            continue
        keys.append(key)
        found.append(table[key])
    if without:
        raise InputError(f"{path} says nothing of {len(without)} of {len(names)} samples, the first is {without[0]!r}")
    key, count = Counter(keys).most_common(1)[0] if keys else ("", 1)
    if count > 1:
        raise InputError(f"{path}: the line of {key!r} names {count} samples: give paths in the data set, with folders")
    return found


def classes_of(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The class that a table `name,label` gives each of the names.

    Raises:
        InputError: see `read_table` and `rows_of`; or a name without a class.
    """
    rows = rows_of(read_table(path, 1), names, path)
    found = {name: label for name, (label,) in zip(names, rows, strict=True)}
    without = [name for name, label in found.items() if not label]
    if without:
        raise FileFormatError(f"{path}: the class of {without[0]!r} is empty")
    return found


def values_of(table: Mapping[str, tuple[str, ...]], names: Sequence[str], path: Path) -> list[list[float]]:
    """The numbers that the table says of each of the names.

    Raises:
        InputError: see `rows_of`.
        FileFormatError: a cell is no finite number.
    """
    found = []
    for name, row in zip(names, rows_of(table, names, path), strict=True):
        try:
            numbers = [float(cell) for cell in row]
        except ValueError:
            numbers = [float("nan")]
        if not all(abs(number) < 1e30 for number in numbers):  # NaN is not
            raise FileFormatError(f"{path}: of {name!r} it says {','.join(row)[:60]!r}: expected finite numbers")
        found.append(numbers)
    return found
