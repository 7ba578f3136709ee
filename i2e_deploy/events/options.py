"""What a caller says about an event file that the file does not say itself, and how that caller spells it.

Python, a command line and a URI take the same options. A reader that lacks one names it in the words of its caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from i2e_deploy.errors import InputError

#: (width, height) of the sensor in pixels.
SensorSize = tuple[int, int]
OnDamage = Literal["error", "salvage"]
#: What is done with times that go back.
Unsorted = Literal["error", "sort", "continue"]
UNSORTED = ("error", "sort", "continue")
#: Microseconds of a unit of time, as (numerator, denominator).
UNITS = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}
#: Who asks: each spells the options its own way.
Caller = Literal["python", "command", "uri"]
#: Options of the command line that are flags.
_FLAGS = {("damaged", "salvage"): "--salvage", ("unsorted", "sort"): "--sort", ("unsorted", "continue"): "--continue"}


@dataclass(frozen=True)
class ReadOptions:
    """Options of `open_events`; its docstring says what each means.

    Args:
        format: name of the format, or None.
        sensor_size: (width, height), or None.
        damaged: `"error"` or `"salvage"`.
        unsorted: `"error"`, `"sort"` or `"continue"`.
        stream: name or number of a camera, or None.
        columns: order of the columns of a table, e.g. `"xytp"`; `-` for a column that is not read.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`.
        caller: in whose words messages name an option.

    Raises:
        InputError: a value that an option does not take.
    """

    format: str | None = None
    sensor_size: SensorSize | None = None
    damaged: OnDamage = "error"
    unsorted: Unsorted = "error"
    stream: str | None = None
    columns: str | None = None
    time_unit: str | None = None
    caller: Caller = "python"

    def __post_init__(self) -> None:
        if self.damaged not in ("error", "salvage"):
            raise InputError(f"damaged={self.damaged!r}: choose 'error' or 'salvage'")
        if self.unsorted not in UNSORTED:
            raise InputError(f"unsorted={self.unsorted!r}: choose one of {', '.join(UNSORTED)}")
        if self.time_unit is not None and self.time_unit not in UNITS:
            raise InputError(f"{self.word('time_unit', self.time_unit)}: choose one of {', '.join(UNITS)}")
        if self.columns is not None and sorted(self.columns.replace("-", "")) != sorted("txyp"):
            raise InputError(
                f"{self.word('columns', self.columns)}: write t, x, y and p once each in the order of the file, "
                "with - for a column that is not read, e.g. xytp or -txyp"
            )

    @property
    def salvage(self) -> bool:
        """Whether everything but impossible events is wanted."""
        return self.damaged == "salvage"

    def word(self, name: str, value: object) -> str:
        """An option as this caller writes it, e.g. `unsorted="sort"`, `--sort`, `?unsorted=sort`."""
        if self.caller == "python":
            return f'{name}="{value}"'
        if self.caller == "command":
            return _FLAGS.get((name, str(value)), f"--{name.replace('_', '-')} {value}")
        return f"?{name}={value}"

    def size_word(self) -> str:
        """How this caller gives the size of a sensor."""
        words = {"python": "sensor_size=(width, height)", "command": "--sensor-size WIDTHxHEIGHT"}
        return words.get(self.caller, "?width=WIDTH&height=HEIGHT")
