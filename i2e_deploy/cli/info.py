"""`i2e-deploy info`: what an event file holds, or what data a model was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, takes_recordings

if TYPE_CHECKING:
    from i2e_deploy.events.summary import Summary


@takes_recordings
def command(
    file: Annotated[Path, typer.Argument(help="An event file of any kind; or a bundle, or a network file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Say what an event file holds, or a model's card.

    Format, size, duration, rates, polarities, streams, damage. The whole file is read, in constant memory (with --sort:
    all of it in memory). Impossible events are left out and counted, as with --salvage elsewhere.

    Of a bundle or a network file (.safetensors): the classes by name, steps and preprocessing of its data.

    Example: i2e-deploy info recording.aedat4
    """
    from i2e_deploy.cli.common import console, print_json, working
    from i2e_deploy.events.files import stream_names
    from i2e_deploy.events.formats import FORMATS
    from i2e_deploy.events.summary import summarize

    if file.is_dir() or file.suffix == ".safetensors":
        reading.refuse(f"{file} is a model")
        _show_card(file, as_json)
        return
    streams = [reading.stream] if reading.stream is not None else stream_names(file, reading.format) or [None]
    found: dict[str, Summary] = {}
    format_ = unit = ""
    with working(f"reading {file}"):
        for stream in streams:
            only = stream if len(streams) > 1 or reading.stream is not None else None
            with replace(reading, stream=only, salvage=True).open(file) as reader:
                found[stream or ""] = summarize(reader)
                format_, unit = reader.format, FORMATS[reader.format].unit
    size = file.stat().st_size
    if as_json:
        rows = [{"stream": name or None, **summary.to_dict()} for name, summary in found.items()]
        print_json({"file": str(file), "format": format_, "bytes": size, "streams": rows})
        return
    console().print(f"{file}: {format_}, {size:,} bytes")
    for name, summary in found.items():
        _print(name, summary, unit)


def _print(stream: str, summary: Summary, unit: str) -> None:
    from i2e_deploy.cli.common import console, new_table

    table = new_table("what", "value", title=f"stream {stream}" if stream else "")
    said = "not said" if summary.sensor_size is None else "{} x {}".format(*summary.sensor_size)
    table.add_row("sensor", f"{said}; events within {summary.extent[0]} x {summary.extent[1]}")
    table.add_row("events", f"{summary.events:,}")
    if summary.events:
        off = summary.events - summary.on
        share = 100 * summary.on / summary.events
        table.add_row("polarity", f"{summary.on:,} ON ({share:.1f} %), {off:,} OFF")
        table.add_row("time", f"{summary.first_us:,} to {summary.last_us:,} us")
        table.add_row("duration", f"{summary.seconds:.6f} s")
        mean = "all at one time" if summary.rate is None else f"{summary.rate:,.0f} events/s"
        peak = "" if summary.peak_rate is None else f", at most {summary.peak_rate:,.0f} in 10 ms"
        table.add_row("rate", mean + peak)
    damage = summary.damage
    if damage is None:
        table.add_row("damage", "none")
    else:
        where = "" if damage.position is None else f", {unit} {damage.position}"
        left_out = f"{damage.dropped:,} events left out"
        table.add_row("damage", f"after {damage.events:,} events{where}: {damage.reason}; {left_out}", style="yellow")
    for note in summary.notes:
        table.add_row("note", note)
    console(wrap=True).print(table)


def _show_card(model: Path, as_json: bool) -> None:
    """The card of a bundle or a network file."""
    from i2e_deploy.cli.common import card_of_model, console, new_table, print_json

    card = card_of_model(model)
    if as_json:
        print_json({"file": str(model), "card": None if card is None else card.record()})
        return
    if card is None:
        console().print(f"{model} holds no card: nothing says what its outputs mean")
        return
    table = new_table("what", "value", title=f"{model}: the data it was trained on")
    step = "not said" if card.step_us is None else f"{card.step_us:,} us"
    rows = {"classes": ", ".join(card.classes) or "none: a regression", "input": "x".join(map(str, card.input_shape)),
            "steps": f"{card.steps}, of {step}"}  # fmt: skip
    for what, value in rows.items():
        table.add_row(what, value)
    for what, record in (("preprocessing", card.preprocessing), ("split", card.split)):
        table.add_row(what, ", ".join(f"{key} {value}" for key, value in record.items()) or "not said")
    console(wrap=True).print(table)
