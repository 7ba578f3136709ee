"""What the outputs of a regression mean: how scores, which are integers on a chip, become values in their unit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.text import cut

#: Most outputs that are named, and characters of a name or unit.
MAX_OUTPUTS, MAX_NAME = 2**20, 100


@dataclass(frozen=True)
class Values:
    """An affine map: `value = offset + scale * score`, where a score is what `Deciding` reads.

    Spikes counted over all steps are worth as much on the chip as in the float network. A state on the chip is in the
    chip's units, so that its scale is another.

    Args:
        scale: one for all outputs, or one an output; not 0.
        offset: likewise.
        names: of the outputs, in order; empty: they have numbers.
        unit: of the values, for people.

    Raises:
        InputError: numbers that are not finite, a scale of 0, or names and numbers that do not go together.
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    names: tuple[str, ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.scale or not self.offset or not all(map(isfinite, (*self.scale, *self.offset))) or 0 in self.scale:
            raise InputError(f"values: scale {self.scale}, offset {self.offset}: give finite numbers, no scale of 0")
        sizes = {len(part) for part in (self.scale, self.offset, self.names) if len(part) > 1}
        if len(sizes) > 1 or max(sizes, default=1) > MAX_OUTPUTS:
            raise InputError(
                f"values: {len(self.scale)} scales, {len(self.offset)} offsets and {len(self.names)} names: give one "
                "for all outputs, or as many as there are outputs"
            )
        if any(not 0 < len(name) <= MAX_NAME for name in self.names) or len(self.unit) > MAX_NAME:
            raise InputError(f"values: names and unit have 1 to {MAX_NAME} characters: shorten them")

    def __repr__(self) -> str:
        return cut(f"Values({self.describe()})", 300)

    def describe(self) -> str:
        """What they are, in a few words for people."""
        scale = ", ".join(f"{factor:g}" for factor in self.scale[:8])
        offset = f", offset {', '.join(f'{part:g}' for part in self.offset[:8])}" if any(self.offset) else ""
        return f"{scale}{f' {self.unit}' if self.unit else ''} a unit of the output{offset}"

    def check(self, outputs: int) -> None:
        """Raise InputError unless they are of so many outputs."""
        for what, part in (("scales", self.scale), ("offsets", self.offset), ("names", self.names)):
            if len(part) not in (1, outputs) and (what != "names" or part):
                raise InputError(f"values: {len(part)} {what} for {outputs} outputs: give one for all, or one each")
        if len(self.names) == 1 and outputs > 1:
            raise InputError(f"values: 1 name for {outputs} outputs: give one each")

    def of(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Values float64 [..., V] of scores [..., V]."""
        self.check(scores.shape[-1])
        found = np.asarray(self.offset) + np.asarray(self.scale) * scores.astype(np.float64)
        return np.asarray(found, np.float64)

    def name(self, output: int) -> str:
        """Of an output, by number."""
        return self.names[output] if output < len(self.names) else f"output {output}"

    def pack(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"scale": list(self.scale), "offset": list(self.offset), "names": list(self.names), "unit": self.unit}


def unpack_values(data: Any) -> Values:
    """The inverse of `Values.pack`, of what a file holds.

    Raises:
        InputError, KeyError, TypeError, ValueError: it is none.
    """
    if not isinstance(data, Mapping):
        raise TypeError("values are no record")
    numbers = [tuple(float(number) for number in data[key]) for key in ("scale", "offset")]
    names, unit = data["names"], data["unit"]
    if not isinstance(unit, str) or not all(isinstance(name, str) for name in names):
        raise TypeError("a name or unit of values is no text")
    return Values(numbers[0], numbers[1], tuple(names), unit)


def _numbers(scales: str, offsets: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(map(float, scales.split(","))), tuple(map(float, offsets.split(",")))


def parse_values(text: str) -> Values:
    """`SCALE[,SCALE...][;OFFSET[,OFFSET...]]`, e.g. `0.25` or `0.01,0.02;-1,0`; or the JSON of `Values.pack`.

    Raises:
        InputError: it is none.
    """
    try:
        if text.lstrip().startswith("{"):
            return unpack_values(json.loads(text))
        scales, _, offsets = text.partition(";")
        return Values(*_numbers(scales, offsets or "0"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"--value-scale is {text!r}: give what a unit of the output is worth, e.g. 0.25, or one for each output "
            "with commas between, and offsets after a semicolon"
        ) from None
