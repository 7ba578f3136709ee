"""`i2e-deploy live`: events in, decisions out, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2e_deploy.cli.boards import BoardFile, on_board
from i2e_deploy.cli.common import READ_HELP
from i2e_deploy.cli.deciding import ReadoutKind, decided
from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, takes_recordings
from i2e_deploy.cli.values import ValueScale, values_of

if TYPE_CHECKING:
    from i2e_deploy.chips import Program
    from i2e_deploy.chips.values import Values
    from i2e_deploy.datasets.card import Card
    from i2e_deploy.events.sources import Source
    from i2e_deploy.runtime.decider import Decision, LiveSpec
    from i2e_deploy.runtime.live import Live
    from i2e_deploy.runtime.live_on_chip import ChipLive


@takes_recordings
def command(
    model: Annotated[Path, typer.Argument(help="A bundle folder or a network file (.safetensors, .nir, .net).")],
    source: Annotated[
        str, typer.Option(help="A recording (x.aedat4, x.aedat4?realtime=1), or a URI: tcp://host:port, camera://, ...")
    ] = "",
    target: Annotated[
        str, typer.Option(help="simulator; board or board:NAME: a Speck, whose own camera feeds its own cores.")
    ] = "simulator",
    chip: Annotated[
        str | None, typer.Option(help="Name of the chip, see `profiles`; default: the bundle's, else speck2f.")
    ] = None,
    window: Annotated[float, typer.Option(min=0.001, help="Length of a window, ms.")] = 20.0,
    steps: Annotated[int, typer.Option(min=1, help="Time steps a window.")] = 8,
    stride: Annotated[int, typer.Option(min=0, help="Steps from window to window; 0 = no overlap.")] = 0,
    by_count: Annotated[int, typer.Option("--events", min=0, help="Events a step, instead of a time.")] = 0,
    crop: Annotated[str, typer.Option(help="left,top,width,height of the sensor part that is seen.")] = "",
    binary: Annotated[bool, typer.Option("--binary", help="A pixel counts at most 1 a step.")] = False,
    state: Annotated[str, typer.Option(help="reset = fresh state each window; keep.")] = "reset",
    read: Annotated[list[str], typer.Option("--read", help=READ_HELP)] = [],  # noqa: B006
    policy: Annotated[
        str, typer.Option(help="When too slow: drop oldest, merge, or block the source (a file at full speed: block).")
    ] = "",
    semantics: Annotated[str, typer.Option(help="timestep (exact to Sinabs), or event (DYNAP-CNN).")] = "timestep",
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long; 0 = when the source ends.")] = 0,
    record: Annotated[Path | None, typer.Option(help="Record the session to this new file.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Replay a recorded session and compare.")] = None,
    view: Annotated[bool, typer.Option("--view", help="Serve a page that shows the session.")] = False,
    bind: Annotated[str, typer.Option(help="Address of the page.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 = a free one.")] = 0,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Let --bind leave this machine.")] = False,
    board_file: BoardFile = None,
    readout_kind: ReadoutKind = "",
    value_scale: ValueScale = "",
    rerun: Annotated[bool, typer.Option("--rerun", help="Log to Rerun too (package rerun-sdk).")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each decision, then the totals, as JSON lines.")
    ] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Run a network on live events, and count every loss.

    With --target board the chip does all of it, its camera included; --view and --record then ask for the camera's
    events too, which takes bandwidth. Written against public texts, tested on a fake board: unverified on silicon.

    Example: i2e-deploy live demo_output/bundle --source "fake://128x128?rate=2e5" --view
    """
    import json

    from i2e_deploy.cli.common import console, read_model_of
    from i2e_deploy.runtime.replaying import replay as run_replay

    deployed = on_board(read_model_of(model, chip, options=read), board_file, semantics, [target])
    program = decided(deployed.program, readout_kind)
    notes: Callable[[], tuple[str, ...]] = tuple
    if replay is not None:
        result = run_replay(replay, program)
        result.raise_if_different()
        other = "" if result.same_program else ", though by another program than the recorded one"
        console().print(f"{result.decisions} decisions, all equal{other}")
        return
    live: Live | ChipLive
    if target != "simulator":
        host = {"--source": source, "--stride": stride, "--events": by_count, "--binary": binary, "--policy": policy}
        for_chip = (window, steps, crop, view or record is not None, seconds, record)
        reading.refuse("the chip's camera gives the events")
        live, source = _on_chip(program, target, host, *for_chip), target
        seconds = 0  # it ends by the board's clock
    else:
        options = (window, steps, stride, by_count, crop, binary, state, policy, semantics)
        if not by_count and (other := _other_step(deployed.card, _step_us(window, steps))):
            console(stderr=True).print(other)
        live, source, notes = _on_host(program, reading.into(source), record, options)
    values = values_of(model, value_scale)
    stats = _run(live, source, seconds, (view, bind, port, allow_remote), rerun, as_json, values,
                 () if deployed.card is None else deployed.card.classes)  # fmt: skip
    for note in notes():
        console(stderr=True).print(f"{source}: {note}")
    if as_json:
        print(json.dumps({"end": stats}))
    else:
        _summary(stats)


def _on_host(
    program: Program, uri: str, record: Path | None, options: Any
) -> tuple[Live, str, Callable[[], tuple[str, ...]]]:
    """The session on this machine, its source, and what the source says about it; `options` are those of `_spec`."""
    from i2e_deploy.errors import InputError
    from i2e_deploy.events.sources import open_source

    if not uri:
        raise InputError("no --source: give e.g. --source camera:// or --source x.aedat4")
    opened = open_source(uri)
    try:
        live = _session(opened, program, _spec(program, opened, *options), uri, record)
        return live, uri, lambda: tuple(getattr(opened, "notes", ()))
    except BaseException:
        opened.close()
        raise


def _spec(
    program: Program, source: Source, window: float, steps: int, stride: int, by_count: int, crop: str,
    binary: bool, state: Any, policy: Any, semantics: str,
) -> LiveSpec:  # fmt: skip
    from i2e_deploy.events.frames import FrameSpec
    from i2e_deploy.events.stream import StreamSpec
    from i2e_deploy.runtime.decider import LiveSpec

    shape: Any = tuple(program.input_shape)
    step = by_count or _step_us(window, steps)
    stream = StreamSpec(steps, step, "events" if by_count else "us", stride or None)
    return LiveSpec(stream, FrameSpec(source.sensor_size, shape, _part(crop), binary), semantics, state, policy or None)


def _part(crop: str) -> tuple[int, int, int, int] | None:
    """`"left,top,width,height"` as numbers."""
    from i2e_deploy.errors import InputError

    if not crop:
        return None
    part = tuple(int(side) if side.strip().isdigit() else -1 for side in crop.split(","))
    if len(part) != 4 or min(part) < 0:
        raise InputError(f"--crop {crop}: write left,top,width,height, e.g. --crop 40,0,240,240")
    return part


def _step_us(window: float, steps: int) -> int:
    from i2e_deploy.errors import InputError

    if not window <= 3_600_000:
        raise InputError(f"--window is {window} ms: choose a shorter window, an hour at most")
    return max(1, round(1000 * window / steps))


def _other_step(card: Card | None, step_us: int) -> str:
    """What is to be said where the events of the training were counted in other steps; "" where nothing is."""
    if card is None or card.step_us is None or abs(card.step_us - step_us) <= 0.1 * card.step_us:
        return ""  # recordings of one camera last about, and not exactly, as long as each other
    if card.preprocessing.get("kind") != "recordings" and "sensor" not in card.preprocessing:
        return ""  # pictures by plain I2E: how long a step lasts was assumed
    return (
        f"a step is {step_us / 1000:g} ms here, and was {card.step_us / 1000:g} ms in the training: "
        f"--window {card.steps * card.step_us / 1000:g} --steps {card.steps} gives such steps"
    )


def _on_chip(
    program: Program, target: str, host: dict[str, Any], window: float, steps: int, crop: str, pixels: bool,
    seconds: float, record: Path | None,
) -> ChipLive:  # fmt: skip
    """The session on a board; `host` are options that say what the host does with events: there it does nothing."""
    from i2e_deploy.chips.abilities import HasCamera, require
    from i2e_deploy.errors import InputError
    from i2e_deploy.runtime.live_on_chip import ChipLive, chip_spec
    from i2e_deploy.runtime.recording import Recorder
    from i2e_deploy.runtime.replaying import session_header

    kind, _, name = target.partition(":")
    if kind != "board":
        raise InputError(f"--target {target}: choose simulator, board or board:NAME")
    given = [option for option, value in host.items() if value]
    if given:
        raise InputError(f"{given[0]} is of events that the host takes; with --target board the chip's camera has them")
    eye = require(program, HasCamera, f"--target {target} (the camera on the chip)")
    spec = chip_spec(eye, program.input_shape, steps, _step_us(window, steps), _part(crop))

    def recorder() -> Recorder:
        assert record is not None
        return Recorder(record, session_header(spec, program, target, 0, target=target))

    return ChipLive(eye, spec, name or None, pixels, seconds, recorder if record is not None else None)


def _session(opened: Source, program: Program, spec: LiveSpec, uri: str, record: Path | None) -> Live:
    from i2e_deploy.events.sources import open_source
    from i2e_deploy.runtime.live import Live, policy_for
    from i2e_deploy.runtime.recording import Recorder
    from i2e_deploy.runtime.replaying import session_header

    spec = replace(spec, policy=policy_for(spec, opened))  # a session that is recorded says it
    recorder = None if record is None else Recorder(record, session_header(spec, program, uri, 0))
    try:
        return Live(opened, program, spec, reopen=lambda: open_source(uri), recorder=recorder)
    except BaseException:
        if recorder is not None:
            recorder.discard()
        raise


def _run(
    live: Live | ChipLive,
    title: str,
    seconds: float,
    view: tuple[bool, str, int, bool],
    rerun: bool,
    as_json: bool,
    values: Values | None = None,
    classes: tuple[str, ...] = (),
) -> Any:
    """Run to the end, the time limit or Ctrl-C; returns the counters."""
    import json
    import threading
    import time
    from contextlib import ExitStack

    import numpy as np

    from i2e_deploy.cli.common import console

    say, watchers = console(stderr=as_json), []
    with ExitStack() as stack:
        stack.enter_context(_terminate_as_interrupt())
        if view[0]:
            from i2e_deploy.runtime.view import ViewServer, ViewState

            page = ViewState(live.spec.frame.sensor_size, title, classes, values)
            server = stack.enter_context(ViewServer(page, live.stats, *view[1:]))
            live.watch = page.watch
            watchers.append(page.decided)
            say.print(f"look at {server.url}", soft_wrap=True)
        if rerun:
            from i2e_deploy.runtime.rerun_log import RerunLog

            watchers.append(RerunLog().decided)
        stack.enter_context(live)
        if seconds:  # a silent source gives no decision after which to look at the clock
            timer = threading.Timer(seconds, live.stop)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        start, said = time.monotonic(), 0.0
        try:
            for decision in live:
                for watcher in watchers:
                    watcher(decision)
                elapsed = time.monotonic() - start
                if as_json:
                    told = {} if values is None else {"values": values.of(np.array(decision.scores)).tolist()}
                    if (name := _named(decision, classes)) is not None:
                        told["class"] = name
                    print(json.dumps({**decision.exact(), **told, "latency": decision.latency}), flush=True)
                elif elapsed >= said:
                    _line(live.stats(), _told(decision, values, classes), say)
                    said = elapsed + 1
        except KeyboardInterrupt:
            say.print("stopped")
    stats = live.stats()
    if not stats["decisions"]:
        reason = "the events fill less than one: try a shorter --window" if stats["events"] else "no event came"
        say.print(f"no window closed: {reason}")
    return stats


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """`kill`, systemd and containers end a session as Ctrl-C does: with its totals, and the recording whole."""
    import signal

    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not in the main thread: signals are not ours
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _named(decision: Decision, classes: tuple[str, ...]) -> str | None:
    """The name of the class; None where the network names none."""
    return classes[decision.choice] if 0 <= decision.choice < len(classes) else None


def _told(decision: Decision, values: Values | None, classes: tuple[str, ...]) -> str:
    """The class, or the values in their unit."""
    import numpy as np

    if values is None:
        return f"decision {_named(decision, classes) or decision.choice}"
    found = values.of(np.array(decision.scores))
    unit = f" {values.unit}" if values.unit else ""
    return "  ".join(f"{values.name(i)} {value:.4g}{unit}" for i, value in enumerate(found))


def _line(stats: Any, told: str, say: Any) -> None:
    latency = stats["latency"]
    say.print(
        f"{stats['seconds']:8.1f} s  {told}  {stats['decisions']:,} decisions  {stats['events']:,} events  "
        f"p50 {latency['p50_ms']:.2f} ms  p99 {latency['p99_ms']:.2f} ms  dropped {stats['dropped_windows']}"
    )


def _summary(stats: Any) -> None:
    """All counters as a table."""
    from i2e_deploy.cli.common import console, new_table

    table = new_table("counter", "value", title="session")
    latency = {f"latency {name}": value for name, value in stats["latency"].items() if name != "count"}
    for name, value in {**stats, **latency}.items():
        if name != "latency":
            table.add_row(name.replace("_", " "), f"{value:,}")
    console().print(table)
