"""Readings that the coefficients of the power estimate are fitted to.

A table (`.csv`) with the columns synops_per_s, spikes_per_s, watts (of the rails io, ram and logic), one stretch of
steady work a row; or what `evaluate --semantics event` found on the simulator and a board (`.json`, its `--json` output
or the evaluation.json of a bundle): the simulator counts the operations, the board's power monitor reads the watts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i2e_deploy.chips.dynapcnn.estimates.energy import PROCESSOR_RAILS, Reading
from i2e_deploy.chips.dynapcnn.estimates.power_file import number, read_json
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import check_exists

#: Largest file that is read, bytes; most rows of a table.
MAX_BYTES, MAX_ROWS = 4 * 2**20, 10_000
#: Most operations, a second or a sample; most watts, of a chip whose whole power is milliwatts.
MOST, MOST_WATTS = 1e15, 1.0
COLUMNS = {"synops_per_s": MOST, "spikes_per_s": MOST, "watts": MOST_WATTS}


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
    data = read_json(path, MAX_BYTES, "evaluation")
    try:
        return _evaluated(data.get("result", data))
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise FileFormatError(
            f"{path} holds no readings: {reason}; run `i2e-deploy evaluate MODEL DATA --semantics event --target "
            "simulator --target board --json`"
        ) from error


def _table(path: Path) -> list[Reading]:
    check_exists(path, MAX_BYTES)
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
