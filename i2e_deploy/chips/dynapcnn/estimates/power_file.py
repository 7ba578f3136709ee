"""Files of the power estimate: the coefficients of one board, and the readings that they are fitted to.

Coefficients are JSON, every key needed and no other allowed:

{"format": "i2e-deploy-power", "format_version": 1,
 "chip": "speck2f",            the profile whose rails were read
 "idle_w": 0.00048,            W, the processor's rails (io, ram, logic) at rest, 0 to 1
 "synop_j": 1e-11,             J a synaptic operation above that, 0 to 1e-3
 "spike_j": 1e-9,              J a spike above that, 0 to 1e-3
 "residual_w": 2e-6,           W, root mean square of what the fit leaves, 0 to 1
 "readings": 12,               that they were fitted to, 3 or more
 "source": "power monitor of board 1234"}

Readings are a table (`.csv`) with the columns synops_per_s, spikes_per_s, watts (of the rails io, ram and logic), one
stretch of steady work a row; or what `evaluate --semantics event` found on the simulator and a board (`.json`, its
`--json` output or the evaluation.json of a bundle): the simulator counts the operations, the board's power monitor
reads the watts.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from i2e_deploy.chips.dynapcnn.estimates.power import PROCESSOR_RAILS, Coefficients, Reading
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import check_exists, replacing

FORMAT, FORMAT_VERSION = "i2e-deploy-power", 1
#: Largest file that is read, bytes; longest source, characters.
MAX_BYTES, MAX_SOURCE = 2**16, 500
#: Largest value of every number: far above any chip of this family, whose whole power is milliwatts.
LARGEST = {"idle_w": 1.0, "synop_j": 1e-3, "spike_j": 1e-3, "residual_w": 1.0}
#: Largest file of readings, bytes; most rows of a table.
MAX_READINGS, MAX_ROWS = 4 * 2**20, 10_000
#: Most operations, a second or a sample; most watts, of a chip whose whole power is milliwatts.
MOST, MOST_WATTS = 1e15, 1.0
COLUMNS = {"synops_per_s": MOST, "spikes_per_s": MOST, "watts": MOST_WATTS}


def write_coefficients(coefficients: Coefficients, chip: str, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        InputError: a value that `read_coefficients` would refuse.
    """
    data = {"format": FORMAT, "format_version": FORMAT_VERSION, "chip": chip, **asdict(coefficients)}
    try:
        _coefficients(data)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"coefficients cannot be written to {path}: {error}") from error
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_coefficients(path: Path, chip: str) -> Coefficients:
    """Coefficients of a board with this chip.

    Raises:
        InputError: no such file, too large, or of another chip.
        FileFormatError: a key, a type or a range is wrong.
    """
    data = read_json(path, MAX_BYTES, "power coefficients")
    try:
        if (data.get("format"), data.get("format_version")) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format is {data.get('format')!r} {data.get('format_version')!r}")
        found = _coefficients(data)
    except (ValueError, TypeError, KeyError) as error:
        raise FileFormatError(
            f"{path} holds no power coefficients: {error}; write it with `i2e-deploy calibrate-power`"
        ) from error
    if data["chip"] != chip:
        raise InputError(f"{path} holds power coefficients of {data['chip']}, not {chip}: calibrate on a board of it")
    return found


def _coefficients(data: Mapping[str, Any]) -> Coefficients:
    wanted = {"format", "format_version", "chip", "source", "readings", *LARGEST}
    if set(data) != wanted:
        raise ValueError(f"keys {sorted(wanted ^ set(data))} are missing or unknown")
    numbers = {name: number(name, data[name], largest) for name, largest in LARGEST.items()}
    source, readings = data["source"], data["readings"]
    for name in ("source", "chip"):
        text = data[name]
        if not isinstance(text, str) or not text or len(text) > MAX_SOURCE or not text.isprintable():
            raise ValueError(f"{name} is no printable text of 1 to {MAX_SOURCE} characters")
    if isinstance(readings, bool) or not isinstance(readings, int) or not 3 <= readings <= 10**9:
        raise ValueError(f"readings is {readings!r}: a whole number from 3 on")
    return Coefficients(**numbers, source=source, readings=readings)


def number(name: str, value: Any, largest: float) -> float:
    """`value` as a float; ValueError unless it is a number from 0 to `largest`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
        raise ValueError(f"{name} is {str(value)[:40]}: a number from 0 to {largest:g}")
    return float(value)


def read_json(path: Path, limit: int, what: str) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes; NaN and Infinity are no JSON.

    Raises:
        InputError: no such file, or too large.
        FileFormatError: not whole JSON, or no object.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    check_exists(path, limit)
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
        if not isinstance(data, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} holds no {what}: not whole JSON: {str(error)[:200]}") from error
    return data


def read_readings(path: Path) -> list[Reading]:
    """Readings of one file, `.csv` or `.json`.

    Raises:
        InputError: no such file, too large, or another kind.
        FileFormatError: a column, a key or a value is missing or wrong.
    """
    if path.suffix not in (".csv", ".json"):
        raise InputError(f"{path} holds no readings: give a .csv table or the .json of `evaluate`")
    if path.suffix == ".csv":
        return _table(path)
    data = read_json(path, MAX_READINGS, "evaluation")
    try:
        return _evaluated(data.get("result", data))
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise FileFormatError(
            f"{path} holds no readings: {reason}; run `i2e-deploy evaluate MODEL DATA --semantics event --target "
            "simulator --target board --json`"
        ) from error


def _table(path: Path) -> list[Reading]:
    check_exists(path, MAX_READINGS)
    readings: list[Reading] = []
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        for row in rows:
            if len(readings) == MAX_ROWS:
                raise ValueError(f"more than {MAX_ROWS} rows")
            values = {name: number(name, float(row[name] or "nan"), most) for name, most in COLUMNS.items()}
            readings.append(Reading(**values))
    except (ValueError, csv.Error) as error:
        raise FileFormatError(
            f"{path} row {len(readings) + 1}: {str(error)[:200]}; give a table with columns {', '.join(COLUMNS)}"
        ) from error
    return readings


def _evaluated(result: Mapping[str, Any]) -> list[Reading]:
    """One reading for each board of an evaluation."""
    targets, seconds = result["targets"], number("sample_seconds", result["sample_seconds"], 1e6)
    if result["semantics"] != "event":
        raise ValueError("the simulator counted time steps, the board runs events")
    counted = next((targets[name]["per_sample"] for name in ("simulator", "reference") if name in targets), None)
    if counted is None:
        raise ValueError("no simulator counted the operations")
    rates = {
        f"{key}_per_s": sum(number(key, layer[key], MOST) for layer in counted.values()) / seconds
        for key in ("synops", "spikes")
    }
    rails = [row["power_rails_mw"] for name, row in targets.items() if name.partition(":")[0] == "board"]
    if not rails:
        raise ValueError("no board in it")
    milliwatts = [[number(f"rail {name}", row[name], 1e3 * MOST_WATTS) for name in PROCESSOR_RAILS] for row in rails]
    return [Reading(**rates, watts=1e-3 * sum(row)) for row in milliwatts]
