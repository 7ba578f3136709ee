"""Ours beside a record of a real chip: totals, values that differ, and what there is to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from i2e_deploy.chips.abilities import ReplaysRecords
from i2e_deploy.chips.base import Chip
from i2e_deploy.chips.profile import Record
from i2e_deploy.chips.recorded import Recorded
from i2e_deploy.chips.registry import chip_names, get
from i2e_deploy.errors import InputError
from i2e_deploy.text import counted, said


@dataclass(frozen=True, eq=False)
class RecordReplay:
    """A record that was run again.

    Args:
        record: what was compared, on which chip, and who published it.
        chip: name of the profile whose program ran.
        semantics: of our run.
        rows: one a thing that was compared.
    """

    record: Record
    chip: str
    semantics: str
    rows: tuple[Recorded, ...]

    def __repr__(self) -> str:
        return said(self, f"{self.record.id} on {self.chip}", counted(len(self.rows), "row"))

    @property
    def drawn(self) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
        """(title, ours, chip) of the rows that are counts [C, H, W], as `save_chip_picture` takes them."""
        return [(row.title, row.ours, row.chip) for row in self.rows if row.counts and row.ours.ndim == 3]

    def totals(self) -> list[str]:
        """A sentence for each unit, over all rows."""
        lines = []
        for unit in dict.fromkeys(row.unit for row in self.rows):
            rows = [row for row in self.rows if row.unit == unit]
            values, differing, apart = (sum(each) for each in zip(
                *((row.ours.size, row.differing, row.apart) for row in rows), strict=True))  # fmt: skip
            text = f"{unit}: {differing:,} of {values:,} values differ ({100 * differing / max(values, 1):.2f} %)"
            ours, chip = (sum(int(side.sum()) for side in sides) for sides in zip(
                *((row.ours, row.chip) for row in rows), strict=True))  # fmt: skip
            if rows[0].counts:
                excess = f" ({100 * (ours / chip - 1):+.2f} %)" if chip else ""
                text += f", chip {chip:,}, ours {ours:,}{excess}, {apart:,} apart"
            lines.append(text)
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "record": self.record.id, "chip": self.chip, "board": self.record.chip, "source": self.record.source,
            "compared": self.record.compared, "semantics": self.semantics, "rows": [row.to_dict() for row in self.rows],
            "values": sum(row.ours.size for row in self.rows), "differing": sum(row.differing for row in self.rows),
        }  # fmt: skip


def replay_record(
    name: str, records: Path | None = None, data: Path | None = None, chip: str = "", semantics: str = ""
) -> RecordReplay:
    """Run the network and input of a record on our simulator.

    Args:
        name: of the record, as `profiles CHIP` lists it.
        records: folder of the records; they are other people's and not part of this project.
        data: folder of the recordings that went in.
        chip: whose record; "": the first chip that can run one of that name.
        semantics: of our run; "": that of the chip itself.

    Raises:
        InputError: no such record, or one that this program cannot run; a file that is not there; an unknown semantics.
        FileFormatError: a file that is not of the record.
    """
    chips = [get(each) for each in ([chip] if chip else chip_names())]
    for each in chips:
        record = next((record for record in each.profile.records if record.id == name), None)
        if record is not None and isinstance(each, ReplaysRecords) and name in each.replayable:
            chosen = semantics or each.own_semantics
            rows = each.replay_record(name, records, data, chosen)
            return RecordReplay(record, each.profile.name, chosen, rows)
    raise InputError(_refusal(name, chips))


def _refusal(name: str, chips: Sequence[Chip]) -> str:
    """Why there is no such record to run, and which there are."""
    listed = {record.id for chip in chips for record in chip.profile.records}
    can = dict.fromkeys(
        each for chip in chips if isinstance(chip, ReplaysRecords) for each in chip.replayable
        if each in listed
    )  # fmt: skip
    reason = "is a record of numbers alone, which benchmarks/silicon.py holds beside ours" if name in listed else (
        "is no record of " + (chips[0].profile.name if len(chips) == 1 else "any chip")
    )  # fmt: skip
    return f"--record {name} {reason}; these can be run again: {', '.join(can) or 'none'}"
