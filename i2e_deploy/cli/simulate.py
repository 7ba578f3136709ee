"""`i2e-deploy simulate`: frames in, spikes of every layer out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2e_deploy.cli.boards import BoardFile, on_board, told
from i2e_deploy.cli.common import READ_HELP, SHAPE_HELP
from i2e_deploy.cli.costs import COEFFICIENTS_HELP, print_costs
from i2e_deploy.cli.deciding import ReadoutKind, decided
from i2e_deploy.cli.eye import Eye, eyed, read_shown, refuse_float, shown_of
from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, read_input, takes_recordings
from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.chips import Program, Trace
    from i2e_deploy.chips.costs import Costs


Inputs = Annotated[
    Path, typer.Option("--input", help="Integers [T, C, H, W] or [B, T, C, H, W] (.npy), or a recording.")
]
Semantics = Annotated[
    str, typer.Option(help="timestep (exact to Sinabs), or event (the asynchronous chip; DYNAP-CNN only).")
]
Order = Annotated[str, typer.Option(help="event: order of injection, spread, raster, interleaved or shuffled.")]
Target = Annotated[
    str, typer.Option(help="simulator, reference, lava, board or board:NAME (asynchronous), or float: not integers.")
]
StepUs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Duration of a step of recordings and of the slow clock; default: the bundle's, else 1000."
    ),
]
SpreadOf = Annotated[
    bool, typer.Option("--bound", help="event: also run what public text leaves open, and say how far it moves.")
]
Power = Annotated[Path | None, typer.Option("--power-coefficients", help=COEFFICIENTS_HELP)]


@takes_recordings
def command(
    model: Annotated[Path, typer.Argument(help="A bundle folder or a network file (.safetensors, .nir, .net).")],
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")],
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Trace to write (.npz).")],
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    read: Annotated[list[str], typer.Option("--read", help=READ_HELP)] = [],  # noqa: B006
    semantics: Semantics = "timestep",
    order: Order = "spread",
    target: Target = "simulator",
    step_us: StepUs = None,
    spread_of: SpreadOf = False,
    state: Annotated[bool, typer.Option("--state", help="Write the final states too.")] = False,
    power: Power = None,
    board_file: BoardFile = None,
    readout_kind: ReadoutKind = "",
    eye: Eye = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Run frames through the chip's integers, bit for bit.

    It writes what every layer did. The trace holds layer0, layer1, ... in network order, each [B, T, C, H, W]; with
    --state also layerN_<state>, e.g. layer0_v_mem. With --semantics event each layer is an array of events (sample, t
    in microseconds, cause, c, y, x), and power, load of the cores and latency are estimated. A recording runs at its
    own times with --semantics event, and is counted into steps of --step-us otherwise.

    Example: i2e-deploy simulate demo_output/bundle --chip speck2f --input frames.npy --out trace.npz
    """

    from i2e_deploy.chips import Injection
    from i2e_deploy.chips.abilities import VariesOpenPoints, require
    from i2e_deploy.chips.options import FLOAT
    from i2e_deploy.cli.common import read_model_of, working
    from i2e_deploy.files import write_arrays
    from i2e_deploy.runtime.float_target import run_float

    _refuse(out, order, semantics, target, spread_of, power)
    deployed = on_board(read_model_of(model, chip, input_shape, power, read), board_file, semantics, [target])
    program = eyed(deployed.chip, decided(deployed.program, readout_kind), eye)
    shown = shown_of(program)
    refuse_float(shown, [target])
    given = read_input(inputs, program.input_shape, reading) if shown is None else read_shown(inputs, shown)
    step_us = step_us or deployed.step_us or Injection().step_us
    injection = Injection(order, step_us)  # type: ignore[arg-type]  # it checks
    spread = costs = None
    with working(f"running on {target}"):
        if target == FLOAT:
            trace = run_float(deployed.network, program, program.in_steps(given, step_us))
        else:
            trace = (shown or program).run_on(target, given, semantics, injection)
        if spread_of:
            spread = require(program, VariesOpenPoints, "--bound").bound(given, injection)
        if target == "simulator":
            costs = deployed.chip.costs(program, given, injection, trace, deployed.cores)
    with working(f"writing {out}"):
        write_arrays(out, trace.arrays(state))
    _tell(program, trace, spread, costs, out, as_json, told(deployed.chip))


def _refuse(out: Path, order: str, semantics: str, target: str, spread_of: bool, power: Path | None) -> None:
    """Raise InputError for options that do not go together, before anything is read."""
    if out.suffix != ".npz":
        raise InputError(f"--out is {out}: a trace is an .npz file; give a name that ends so")
    if not out.parent.is_dir():
        raise InputError(f"--out is {out}: no such folder: {out.parent}")
    if order != "spread" and semantics != "event" and target.partition(":")[0] != "board":
        raise InputError(f"--order {order} is of events: add --semantics event")
    if power is not None and (semantics != "event" or target != "simulator"):
        raise InputError(f"--power-coefficients {power}: power is estimated on the simulator with --semantics event")
    if target == "float" and semantics != "timestep":
        raise InputError(f"--semantics {semantics}: the float network has time steps; leave it out with --target float")
    if spread_of and target != "simulator":
        raise InputError(f"--bound varies the simulator, not {target}: leave out --target")
    if spread_of and semantics != "event":
        raise InputError("--bound asks what an asynchronous chip leaves open: add --semantics event")


def _tell(
    program: Program, trace: Trace, spread: Any, costs: Costs | None, out: Path, as_json: bool, board: dict[str, Any]
) -> None:
    from dataclasses import asdict

    from i2e_deploy.cli.common import console, print_json
    from i2e_deploy.runtime.vacuous import not_yet, vacuous

    if as_json:
        print_json({
            "trace": str(out),
            "decisions": trace.decisions().tolist(),
            "readout": str(trace.deciding),
            "ties": trace.ties(),
            "silent": trace.silent(),
            "quiet": list(trace.quiet_layers()),
            "layers": trace.activity() if not trace.counts else {n: asdict(c) for n, c in trace.counts.items()},
            "not_reported": list(trace.unseen.values()),
            "incidents": dict(trace.incidents),
            "power_w": None if trace.power is None else dict(trace.power.rails_w),
            "estimate": None if costs is None else costs.to_dict(),
            **({} if spread is None else {"bound": spread.to_dict()}),
            **board,
        })  # fmt: skip
        return
    _print_activity(program, trace)
    if costs is not None:
        print_costs(costs, console())
    if spread is not None:
        _print_bound(spread)
    samples, decisions, quiet = len(trace.output), trace.decisions(), trace.quiet_layers()
    late = not_yet(quiet, program.latencies, trace.output.shape[1])
    for line in vacuous(samples, decisions.size, trace.silent(), trace.ties(), quiet, late):
        console().print(line)
    console().print(f"decisions {decisions.tolist()} ({trace.deciding.describe()}); wrote {out}")


def _print_activity(program: Program, trace: Trace) -> None:
    """Each layer's counts, as far as the target has them; then irregularities."""
    from i2e_deploy.cli.common import console

    words = {"synops": "synaptic operations"}
    activity = trace.activity()
    for i, name in enumerate(program.layer_names):
        keys = ("spikes", "synops", "saturations", "wraps")
        shown = {key: activity[name][key] for key in keys if key in activity.get(name, {})}
        text = ", ".join(f"{value:,} {words.get(key, key)}" for key, value in shown.items())
        console().print(f"layer{i} {name}: {text or 'not reported'}")
    if trace.power is not None:
        rails = ", ".join(f"{name} {1e3 * watts:.3f}" for name, watts in trace.power.rails_w.items())
        console().print(f"power {1e3 * trace.power.total_w:.3f} mW: {rails}")
    for what, count in trace.incidents.items():
        console().print(f"{what}: {count}")


def _print_bound(spread: Any) -> None:
    from i2e_deploy.cli.common import console, new_table

    title = "what public text leaves open"
    table = new_table("variant", "decisions changed", "largest shift of an output", title=title)
    for variant in spread.variants:
        table.add_row(variant.name, f"{variant.changed} of {spread.samples}", str(variant.largest_shift))
    console().print(table)
    console().print(f"{int(spread.firm.sum())} of {spread.samples} decisions are the same in every `event` variant")
