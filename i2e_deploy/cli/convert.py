"""`i2e-deploy convert`: pictures become event frames, an event file, shards of a data set, or a comparison.

A recording becomes an event file of another format (`convert_recording`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, takes_recordings
from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.datasets import Executor, ImageSource, Settings


@takes_recordings
def command(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="A picture, video, folder tree, .zip, .tar or .parquet of pictures; or a recording."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="NAME.npy for frames; NAME.aedat4, .raw, .npz, ... for events; a folder for shards."),
    ] = None,
    ratio: Annotated[str, typer.Option(help="S_th0, the threshold as a share of the range of grey values.")] = "0.12",
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 128,
    fit: Annotated[str, typer.Option(help="How pictures get there: crop, squash or imagenet.")] = "crop",
    steps: Annotated[int, typer.Option(help="Time steps, 1 to 8.")] = 8,
    fps: Annotated[
        float | None, typer.Option(help="Events: pictures are frames of a video at this rate (a video: its own times).")
    ] = None,
    broken: Annotated[
        str, typer.Option(help="A broken picture or cut video: fail, or (shards, videos) skip and report.")
    ] = "fail",
    executor: Annotated[str, typer.Option(help="Shards: process, ray or dask.")] = "process",
    workers: Annotated[int, typer.Option(help="Shards: processes; 0 = one a core.")] = 0,
    address: Annotated[str | None, typer.Option(help="Shards: a running Ray or Dask cluster.")] = None,
    shard_items: Annotated[int, typer.Option(help="Shards: pictures a file.")] = 1000,
    labels: Annotated[Path | None, typer.Option(help="Shards: CSV of name,label; default: the folders.")] = None,
    against: Annotated[
        Path | None, typer.Option("--compare", help="Folder of event recordings to compare with.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="With --compare: picture of the gap to write (.png, .svg).")] = None,
    start: Annotated[
        float | None, typer.Option(min=0, help="Recordings: from so many seconds after the first event.")
    ] = None,
    end: Annotated[
        float | None, typer.Option(min=0, help="Recordings: up to, not with, so many seconds after it.")
    ] = None,
    from_zero: Annotated[bool, typer.Option("--from-zero", help="Recordings: times start at 0.")] = False,
    out_format: Annotated[
        str | None, typer.Option(help="Recordings: what is written, e.g. evt2 for .raw; default: by the name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Convert pictures to events, or event files to others.

    Pictures become events with I2E. A recording becomes an event file of another format (docs/event_files.md).

    Example: i2e-deploy convert photos/ --out frames.npy --ratio 0.12 --size 128

    Events: i2e-deploy convert clip.mp4 --out clip.aedat4 --size 128

    A data set: i2e-deploy convert imagenet.tar --out shards/ --size 224 --fit imagenet --broken skip

    An event file: i2e-deploy convert recording.aedat4 --out recording.raw --start 1 --end 2.5

    The gap: i2e-deploy convert digits/ --compare nmnist/ --size 34 --ratio 0.1
    """
    from i2e_deploy.cli.convert_recording import Cut, convert_recording, is_recording

    cut = Cut(start, end, from_zero, out_format)
    if is_recording(images, reading):
        own = {"--ratio": ratio != "0.12", "--size": size != 128, "--fit": fit != "crop", "--steps": steps != 8,
               "--fps": fps is not None, "--broken": broken != "fail", "--compare": against is not None}  # fmt: skip
        for option in (name for name, given in own.items() if given):
            raise InputError(f"{option} is for pictures: {images} is a recording; leave it out")
        convert_recording(images, out, reading, cut, as_json)
        return
    reading.refuse(f"{images} is none")
    cut.refuse(f"{images} is none")
    from i2e_deploy.datasets.picture import Resize
    from i2e_deploy.datasets.plan import Settings
    from i2e_deploy.datasets.sources import open_source

    if (out is None) == (against is None):
        raise InputError("give either --out (NAME.npy or a folder) or --compare (a folder of recordings)")
    rows = max(1, min(shard_items, 100))
    resize = Resize(size, fit)  # type: ignore[arg-type]  # it checks
    settings = Settings(ratio, resize, steps=steps, shard_items=shard_items, row_group=rows, on_broken=broken)  # type: ignore[arg-type]
    if labels is not None and (against is not None or out is None or out.suffix):
        raise InputError(f"--labels {labels} is for shards: give --out a folder, or leave it out")
    if against is not None:
        _compare(open_source(str(images)), settings, against, plot, as_json)
    elif out is not None and out.suffix == ".npy":
        if broken != "fail":
            raise InputError(f"--broken is {broken!r}: frames in one .npy have a row for every picture; write shards")
        _write_frames(open_source(str(images)), settings, out, as_json)
    elif out is not None and out.suffix:
        _write_events(images, out, settings, fps, as_json)
    elif out is not None:
        if out.is_file():
            raise InputError(f"--out is {out}, a file: give a folder for shards, or a name with an ending")
        _write_shards(images, out, settings, (executor, workers, address), labels, as_json)  # type: ignore[arg-type]  # it checks


def _picture_frames(source: ImageSource, name: str, settings: Settings) -> Any:
    """One picture to frames uint8 [T, 2, size, size]."""
    from i2e_deploy.conversion import convert
    from i2e_deploy.conversion.vectors import saccades
    from i2e_deploy.datasets.picture import decode_picture

    pixels = decode_picture(source.read(name), settings.resize, name).transpose(2, 0, 1)[None]
    return convert(pixels, settings.ratio, saccades(settings.order, settings.steps))[0]


def _names(source: ImageSource) -> list[str]:
    """Names of the pictures; how many there are of kinds that are not read goes to standard error."""
    from i2e_deploy.cli.common import console
    from i2e_deploy.datasets.picture import ENDINGS, HEIF
    from i2e_deploy.errors import InputError
    from i2e_deploy.requirements import install_command

    names, left_out = source.names(), source.left_out()
    said = ", ".join(f"{count} {ending}" for ending, count in left_out.items())
    if not names:
        also = f"; there are {said}" if said else ""
        raise InputError(f"no image found: files must end in {', '.join(ENDINGS)}{also}")
    if said:
        way = f", or `{install_command('pi-heif')}` reads {HEIF[0]}" if set(HEIF) & set(left_out) else ""
        text = f"left out, as they are not read: {said}; save them as PNG or JPEG{way}"
        console(stderr=True).print(text, style="yellow")
    return names


def _write_frames(source: ImageSource, settings: Settings, out: Path, as_json: bool) -> None:
    """All pictures into one .npy, one at a time."""
    import numpy as np

    from i2e_deploy.cli.common import console, print_json, progress_bar
    from i2e_deploy.files import replacing

    names = _names(source)
    size = settings.resize.size or 0
    shape = (len(names), settings.steps, 2, size, size)
    rates = np.zeros(settings.steps)
    # No memory map: a full disk would end the process (SIGBUS).
    with replacing(out) as temporary, progress_bar("converting", len(names)) as advance, temporary.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call, unused-ignore]
        for i, name in enumerate(names):
            frames = _picture_frames(source, name, settings)
            file.write(np.ascontiguousarray(frames).tobytes())
            rates += frames.mean(axis=(1, 2, 3)) / len(names)
            advance(i + 1, name)
    if as_json:
        print_json({"frames": str(out), "shape": shape, "event_rate": rates.mean(), "per_step": rates.tolist()})
        return
    listed = " ".join(f"{100 * rate:.2f}" for rate in rates)
    console().print(f"wrote {out} {list(shape)}; event rate {100 * rates.mean():.2f} % (steps {listed})")


def _write_events(images: Path, out: Path, settings: Settings, fps: float | None, as_json: bool) -> None:
    """A video or pictures into one event file."""
    from i2e_deploy.cli.common import console, print_json, progress_bar
    from i2e_deploy.datasets.picture_events import VIDEOS, sequence_events, video_events
    from i2e_deploy.datasets.sources import open_source
    from i2e_deploy.events.files import write_events

    size = (settings.resize.size or 0, settings.resize.size or 0)
    said: list[str] = []
    if images.suffix.lower() in VIDEOS:
        with progress_bar("converting", None) as advance:
            events = video_events(images, settings, fps, advance, said.append if settings.on_broken == "skip" else None)
            count = write_events(out, events, size)
    else:
        source = open_source(str(images))
        with progress_bar("converting", len(_names(source))) as advance:
            count = write_events(out, sequence_events(source, settings, fps, advance), size)
    for line in said:
        console(stderr=True).print(line, style="yellow")
    if as_json:
        print_json({"events": str(out), "count": count, "sensor": size, **({"cut_off": said[0]} if said else {})})
        return
    console().print(f"wrote {out}: {count:,} events on {size[0]} x {size[1]} pixels")


def _write_shards(
    images: Path,
    out: Path,
    settings: Settings,
    how: tuple[Executor, int, str | None],
    labels: Path | None,
    as_json: bool,
) -> None:
    """A data set as Parquet shards; goes on where an earlier run stopped."""
    import time

    from i2e_deploy.cli.common import console, print_json, progress_bar
    from i2e_deploy.datasets.scale import Progress, convert_dataset
    from i2e_deploy.datasets.sources import open_source
    from i2e_deploy.threads import usable_cores

    executor, workers, address = how
    found: list[Progress] = []
    start = time.monotonic()
    with progress_bar("converting", len(_names(open_source(str(images.resolve()))))) as advance:

        def show(progress: Progress) -> None:
            found.append(progress)
            rate = (progress.done - found[0].done) / max(1e-9, time.monotonic() - start)
            advance(progress.done, f"{rate:,.0f}/s, {progress.skipped} broken")

        manifest = convert_dataset(
            images,
            out,
            settings,
            executor=executor,
            workers=workers or usable_cores(),
            address=address,
            progress=show,
            labels=labels,
        )
    if as_json:
        print_json(manifest)
        return
    for name, reason in manifest["skipped"]:
        console(stderr=True).print(f"skipped {name}: {reason}", style="yellow")
    rows, stored = (sum(shard[key] for shard in manifest["shards"]) for key in ("rows", "bytes"))
    console().print(
        f"{out}: {rows} pictures in {len(manifest['shards'])} shards, {stored / 1e6:.1f} MB, "
        f"{len(manifest['skipped'])} broken; {time.monotonic() - start:.1f} s"
    )


def _compare(source: ImageSource, settings: Settings, against: Path, plot: Path | None, as_json: bool) -> None:
    """Statistics of the converted pictures, for every realism preset, beside those of recordings."""
    from dataclasses import asdict

    from i2e_deploy.cli.common import console, new_table, print_json, working
    from i2e_deploy.conversion.gap import STATISTICS
    from i2e_deploy.datasets.recording_gap import compare_with_recordings

    with working("converting with every sensor preset, and comparing"):
        results = compare_with_recordings(source, settings, against)
    if plot is not None:
        from i2e_deploy.files import replacing
        from i2e_deploy.reporting.gap_plot import save_gap_plot

        with replacing(plot) as temporary:
            save_gap_plot(results, temporary, plot.suffix[1:])  # type: ignore[arg-type]  # it checks
    if as_json:
        print_json({name: {"gap": gap, "statistics": [asdict(row) for row in rows]} for name, gap, rows in results})
        return
    for name, gap, rows in results:
        table = new_table(title=f"{name}: off by a factor of {2**gap:.2f} on average")
        for title in ("statistic", "synthetic [95 %]", "recorded [95 %]", "effect"):
            table.add_column(title)
        for row in rows:
            low, high = row.synthetic_interval
            real_low, real_high = row.recorded_interval
            table.add_row(
                STATISTICS[row.name],
                f"{row.synthetic:.3f} [{low:.3f}, {high:.3f}]",
                f"{row.recorded:.3f} [{real_low:.3f}, {real_high:.3f}]",
                f"{row.effect:+.2f}",
            )
        console().print(table)
