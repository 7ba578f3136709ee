"""`i2e-deploy convert` where a recording comes in: from one event format to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.cli.common import Advance
    from i2e_deploy.cli.recordings import Reading
    from i2e_deploy.events import Events


@dataclass(frozen=True)
class Cut:
    """What part of a recording is written, and how.

    Args:
        start, end: seconds after the first event; None: from the first, to the last.
        from_zero: whether the times that are written start at 0.
        out_format: name of the format that is written; None: as the ending of the name says.
    """

    start: float | None = None
    end: float | None = None
    from_zero: bool = False
    out_format: str | None = None

    def refuse(self, why: str) -> None:
        """Raise InputError if any is given; `why` says what is read instead of a recording."""
        given = {"--start": self.start is not None, "--end": self.end is not None, "--from-zero": self.from_zero,
                 "--out-format": self.out_format is not None}  # fmt: skip
        for option in (name for name, is_given in given.items() if is_given):
            raise InputError(f"{option} is for recordings: {why}; leave it out")


def is_recording(path: Path, reading: Reading) -> bool:
    """Whether a file is one of events, by what the caller says, by its first bytes, or by the ending of its name."""
    from i2e_deploy.events.formats import claims

    return path.is_file() and (reading.format is not None or claims(path))


def convert_recording(path: Path, out: Path | None, reading: Reading, cut: Cut, as_json: bool) -> None:
    """Write the events of `path` to `out`, in constant memory where they are in order.

    Raises:
        InputError: no `out`, a size that nobody says, or what the format of `out` cannot hold.
    """
    from i2e_deploy.cli.common import console, print_json, progress_bar
    from i2e_deploy.cli.recordings import say_about
    from i2e_deploy.events.cut import between
    from i2e_deploy.events.files import write_events
    from i2e_deploy.events.formats import format_to_write

    if out is None:
        raise InputError(f"{path} is a recording: give --out, the name of an event file")
    if out.resolve() == path.resolve():
        raise InputError(f"--out is {out}, the recording itself: give another name")
    format_ = format_to_write(out, cut.out_format)
    start, end = (None if seconds is None else round(1e6 * seconds) for seconds in (cut.start, cut.end))
    with reading.open(path) as reader, progress_bar("converting", None) as advance:
        size = reader.sensor_size
        if size is None:
            raise InputError(f"{path} does not say the size of its sensor: give --sensor-size WIDTHxHEIGHT "
                             f"(`i2e-deploy info {path}` says what its events fit in)")  # fmt: skip
        packets = between(_counted(reader, advance), start or 0, end, cut.from_zero)
        count = write_events(out, packets, size, format_.name)
    say_about(path, reader)
    if as_json:
        damage = reader.damage
        left_out = 0 if damage is None else damage.dropped
        print_json({"events": str(out), "count": count, "sensor": size, "from": reader.format, "to": format_.name,
                    "left_out": left_out, "notes": reader.notes})  # fmt: skip
        return
    console().print(f"wrote {out}: {count:,} events on {size[0]} x {size[1]} pixels, {reader.format} to {format_.name}")


def _counted(packets: Iterable[Events], advance: Advance) -> Iterator[Events]:
    done = 0
    for packet in packets:
        done += len(packet)
        advance(done, f"{done:,} events")
        yield packet
