"""`i2e-deploy evaluate`: the same inputs on each target, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2e_deploy.cli.boards import BoardFile, on_board, told
from i2e_deploy.cli.common import READ_HELP, SHAPE_HELP
from i2e_deploy.cli.costs import COEFFICIENTS_HELP, print_costs
from i2e_deploy.cli.deciding import ReadoutKind, decided
from i2e_deploy.cli.eye import Eye, eyed, read_shown_samples, refuse_float, shown_of, unshown
from i2e_deploy.cli.jobs import results_of_job
from i2e_deploy.cli.neurobench import figures_beside, figures_of, require_connections, write_neurobench
from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, takes_recordings
from i2e_deploy.cli.values import ValueScale, read_each_step, values_of
from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.chips.values import Values
    from i2e_deploy.cli.common import Model
    from i2e_deploy.runtime import Agreement, Evaluation, Samples, Spread


#: `--order` of recordings that run as they are.
RECORDED = "recorded"
#: Samples that power, load and latency are estimated on, at most.
ESTIMATED = 50

Data = Annotated[
    str,
    typer.Argument(
        help="Class folders (events, pictures), .zip, shards, FRAMES.npz, a session, speck://?seconds=10; "
        "none for results.zip."
    ),
]
StepUs = Annotated[
    int | None,
    typer.Option(
        min=1, help="Duration of a step, for boards, power and load; default: the recordings' or the bundle's own."
    ),
]
Order = Annotated[
    str,
    typer.Option(help="event: recorded (recordings run as they are), or spread, raster, interleaved, shuffled."),
]
Targets = Annotated[
    list[str], typer.Option(help="Where to run; give it again for each. float: the network before it became integers.")
]
Chain = Annotated[
    bool, typer.Option("--chain", help="Keep the states from sample to sample, as a board that is not reset.")
]
Power = Annotated[Path | None, typer.Option("--power-coefficients", help=COEFFICIENTS_HELP)]


@takes_recordings
def command(
    model: Annotated[Path, typer.Argument(help="A bundle folder or a network file (.safetensors, .nir, .net).")],
    data: Data = "",
    target: Targets = ["simulator"],  # noqa: B006
    chip: Annotated[
        list[str],
        typer.Option(help="Name of the chip; default: a bundle's own, else speck2f. Again for each, side by side."),
    ] = [],  # noqa: B006
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    read: Annotated[list[str], typer.Option("--read", help=READ_HELP)] = [],  # noqa: B006
    semantics: Annotated[str, typer.Option(help="timestep (exact to Sinabs) or event (DYNAP-CNN).")] = "timestep",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Time steps of a recording or picture; default: the network's own, else 8."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many samples; 0 = all.")] = 0,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page here.")] = None,
    neurobench: Annotated[
        Path | None, typer.Option(help="Write footprint, sparsity, operations and memory here, as NeuroBench has them.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Leave the result in the bundle, for its report.")] = True,
    min_accuracy: Annotated[float, typer.Option(min=0, max=1, help="Fail below this share of right decisions.")] = 0,
    max_rmse: Annotated[float | None, typer.Option(min=0, help="Fail above this error of values.")] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Fail below this share of equal decisions; default: 1, but for float."),
    ] = None,
    step_us: StepUs = None,
    order: Order = "",
    chain: Chain = False,
    power: Power = None,
    board_file: BoardFile = None,
    readout_kind: ReadoutKind = "",
    value_scale: ValueScale = "",
    eye: Eye = "",
    executor: Annotated[str, typer.Option(help="Samples over workers: process, ray or dask.")] = "process",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the samples; 1: this one.")] = 1,
    address: Annotated[str | None, typer.Option(help="A running Ray or Dask cluster.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Compare targets on data: accuracy, agreement, costs.

    Class folders hold event files or pictures: data/<class>/<name>. A network that names its classes (`train`) is
    judged by these names; else they count in sorted order. Pictures become events as those of its training. A session
    has no labels: then agreement and stability are reported. A board is asynchronous: compare it with the simulator
    in --semantics event, where recordings run in their own order and at their own times unless --order says otherwise.
    In a bundle the result is left as evaluation.json, for `i2e-deploy report`. Power, load of the
    cores and latency on the chip are estimated on the first 50 samples.

    speck://?seconds=10&window=20 with --target board lets the chip's own camera feed the chip for so long (windows in
    ms); --target simulator then runs the events that the camera sent out. Boards are unverified on silicon.

    With --workers samples are shared by processes, with --executor ray or dask by a cluster: same result, other times.

    With --chip given again the chips stand side by side: every target on each of them.

    --target results.zip is what came back of `export --job`: the golden inputs of the bundle, so no data are given.

    Example: i2e-deploy evaluate demo_output/bundle frames.npz --target simulator --target reference
    """
    if any(name.endswith(".zip") for name in target):
        result = results_of_job(model, data, target, chip)
        _leave_pages(result, html, junit, min_accuracy, min_agreement, as_json, {})
        _refuse(_failed(result, min_accuracy, min_agreement))
        return
    if not data:
        raise InputError("give the data to evaluate on, such as FRAMES.npz; without them --target is a results.zip")
    if len(chip) > 1:
        single = {"--html": html is not None, "--junit": junit is not None, "--power-coefficients": power is not None,
                  "--chain": chain, "--board-file": board_file is not None,
                  "--workers": workers > 1 or address is not None, "--eye": bool(eye)}  # fmt: skip
        each = _beside(model, data, chip, target, (input_shape, read), (steps, limit), (semantics, order, step_us),
                       (readout_kind, value_scale), neurobench, single, as_json)  # fmt: skip
        limits = (min_accuracy, min_agreement, max_rmse)
        _refuse([f"{name}: {text}" for name, found in each.items() for text in _failed(found, *limits)])
        return
    from i2e_deploy.cli.common import console, read_model_of
    from i2e_deploy.cli.samples import STEPS, samples_of
    from i2e_deploy.runtime.scene import evaluate_scene, is_scene

    deployed = read_model_of(model, chip[0] if chip else None, input_shape, power, read)
    deployed = on_board(deployed, board_file, semantics, target)
    deployed = replace(deployed, program=decided(deployed.program, readout_kind))
    deployed = replace(deployed, program=eyed(deployed.chip, deployed.program, eye))
    shown = shown_of(deployed.program)
    scene = is_scene(deployed.program, data)
    if neurobench is not None:
        require_connections(deployed)
    if scene and chain:
        raise InputError("--chain: a scene is one sample on a board; give recordings or frames")
    if scene:
        reading.refuse(f"{data} is none")
        result, semantics = evaluate_scene(deployed.program, data, target, steps or STEPS), "event"
    elif shown is not None:
        refuse_float(shown, target)
        reading.refuse("a program with an eye takes pictures")
        pictures = read_shown_samples(Path(data), shown, deployed.card, limit)
        result = _evaluate(replace(deployed, program=shown), pictures, target, semantics, order, step_us, chain)
        result = replace(result, classes=() if deployed.card is None else deployed.card.classes)
    else:
        samples = samples_of(data, tuple(deployed.program.input_shape), deployed.card, steps, limit, reading)
        deployed = replace(deployed, program=read_each_step(deployed.program, samples))
        ordered, values = _ordered(samples, semantics, order), values_of(model, value_scale)
        result = _evaluate(deployed, ordered, target, semantics, order, step_us, chain,
                           _spread(executor, workers, address), values)  # fmt: skip
        result = replace(result, classes=() if deployed.card is None else deployed.card.classes)
    if neurobench is not None:
        frames = None if scene or shown is not None else samples.frames
        write_neurobench(neurobench, figures_of(result, deployed, model, frames))
    _leave_pages(result, html, junit, min_accuracy, min_agreement, as_json, told(deployed.chip), max_rmse)
    if keep and model.is_dir():
        _leave(model, result, data if scene else Path(data).name, semantics, console(stderr=True))
    _refuse(_failed(result, min_accuracy, min_agreement, max_rmse))


def _leave_pages(
    result: Evaluation, html: Path | None, junit: Path | None, min_accuracy: float, min_agreement: float | None,
    as_json: bool, said: Mapping[str, Any], max_rmse: float | None = None,
) -> None:  # fmt: skip
    """Write the pages that were asked for, and print the result."""
    from i2e_deploy.cli.common import console, print_json
    from i2e_deploy.files import replacing
    from i2e_deploy.reporting.evaluation import write_evaluation
    from i2e_deploy.reporting.junit import junit_xml

    if html is not None:
        write_evaluation(result, html)
    if junit is not None:
        with replacing(junit) as temporary:
            temporary.write_text(junit_xml(result, min_accuracy, min_agreement, max_rmse), encoding="utf-8")
    if as_json:
        print_json({**result.to_dict(), **said})
    else:
        _print(result, console())


def _refuse(failed: list[str]) -> None:
    from i2e_deploy.errors import CheckFailed

    if failed:
        raise CheckFailed("; ".join(failed))


def _beside(
    model: Path, data: str, chips: list[str], target: list[str], read: tuple[str, list[str]],
    samples: tuple[int | None, int], running: tuple[str, str, int | None], reading: tuple[str, str],
    neurobench: Path | None, single: dict[str, bool], as_json: bool,
) -> dict[str, Evaluation]:  # fmt: skip
    """The evaluation on each chip, printed; a bundle gives the network, and its own chip's integers."""
    from i2e_deploy.cli.common import console, print_json, read_model_beside
    from i2e_deploy.cli.samples import samples_of
    from i2e_deploy.cli.side_by_side import evaluations_beside, print_evaluations, refuse_beside

    refuse_beside(chips, {**single, data: data.startswith("speck:")})
    semantics, order, step_us = running
    readout_kind, value_scale = reading
    values = values_of(model, value_scale)
    results, figures = {}, {}
    for name in chips:
        deployed = read_model_beside(model, name, *read)
        deployed = replace(deployed, program=decided(deployed.program, readout_kind))
        if neurobench is not None:
            require_connections(deployed)
        shape = tuple(getattr(deployed.network, "input_shape", deployed.program.input_shape))
        given = samples_of(data, shape, deployed.card, *samples)
        deployed = replace(deployed, program=read_each_step(deployed.program, given))
        ordered = _ordered(given, semantics, order)
        results[name] = _evaluate(deployed, ordered, target, semantics, order, step_us, False, values=values)
        if neurobench is not None:
            figures[name] = figures_of(results[name], deployed, model, given.frames)
    if neurobench is not None:
        write_neurobench(neurobench, figures_beside(figures))
    if as_json:
        print_json(evaluations_beside(results))
    else:
        print_evaluations(results, console())
    return results


def _ordered(samples: Samples, semantics: str, order: str) -> Samples:
    """The samples, without recordings where they are to run as frames."""
    if order and semantics == "timestep":
        raise InputError(f"--order {order}: time steps have no order of events; give --semantics event")
    if order == RECORDED and not samples.recordings:
        raise InputError("--order recorded: these samples are frames, which have no order of their own; give spread")
    return samples if order in ("", RECORDED) else samples._replace(recordings=())


def _evaluate(
    model: Model,
    samples: Samples,
    target: list[str],
    semantics: str,
    order: str,
    step_us: int | None,
    chain: bool,
    spread: Spread | None = None,
    values: Values | None = None,
) -> Evaluation:
    from i2e_deploy.chips import Injection
    from i2e_deploy.cli.common import console, progress_bar
    from i2e_deploy.runtime import evaluate

    known = step_us or samples.step_us or model.step_us
    if known is None:
        console(stderr=True).print("a step is taken as 1 ms, for boards, power and load: say it with --step-us")
    injection = Injection("spread" if order in ("", RECORDED) else order, known or 1000)  # type: ignore[arg-type]
    with progress_bar("evaluating", len(samples.frames)) as advance:
        result = evaluate(
            model.program, samples.frames, samples.labels, target, semantics, progress=lambda n, _: advance(n, ""),
            injection=injection, network=model.network, recordings=samples.recordings, chain=chain,
            spread=spread, values=values,
        )  # fmt: skip
    program, frames = unshown(model.program, samples.frames[:ESTIMATED])
    costs = model.chip.costs(program, frames, injection, cores=model.cores)
    return replace(result, costs=costs)


def _spread(executor: str, workers: int, address: str | None) -> Spread | None:
    """None: the samples run here."""
    from i2e_deploy.runtime import Spread

    if executor == "process" and workers == 1 and address is None:
        return None
    return Spread(executor, workers, address)  # type: ignore[arg-type]  # it checks


def _failed(
    result: Evaluation, min_accuracy: float, min_agreement: float | None, max_rmse: float | None = None
) -> list[str]:
    """What is below what was asked for."""
    from i2e_deploy.runtime.agreement import least_agreement

    failed = [
        f"{name}: accuracy {row['accuracy']:.4f} is below {min_accuracy}"
        for name, row in result.to_dict()["targets"].items()
        if row["accuracy"] is not None and row["accuracy"] < min_accuracy
    ]
    failed += [
        f"{row.target}: RMSE {row.errors.rmse:.6g} is above {max_rmse:g}"
        for row in result.results
        if row.errors is not None and max_rmse is not None and row.errors.rmse > max_rmse
    ]
    failed += [
        f"{a.first} and {a.second} agree on {a.same} of {a.total} decisions, fewer than {share:g} of them"
        for a in result.agreements
        if a.same < (share := least_agreement(a.first, a.second, min_agreement)) * a.total
    ]
    return failed


def _leave(model: Path, result: Evaluation, data: str, semantics: str, err: Any) -> None:
    """Leave the result in the bundle; one that cannot be written to is no reason to fail."""
    from i2e_deploy.bundle import leave_evaluation, read

    try:
        path = leave_evaluation(read(model), result.to_dict(), data, semantics)
        err.print(f"left {path.name} in {model}: `i2e-deploy report {model}` shows it")
    except OSError as error:
        err.print(f"not left in {model}: {error.strerror}")


def _print_partings(pair: Agreement, out: Any) -> None:
    """Layer by layer, how far two targets are apart."""
    from rich.table import Column

    from i2e_deploy.cli.common import new_table

    heads = [Column(name, justify="right") for name in ("values", "differ", "share", "largest", "first step")]
    table = new_table("layer", *heads, title=f"{pair.first} and {pair.second}, layer by layer")
    for name, p in pair.layers.items():
        share = f"{100 * p.differing / p.values:.3g} %" if p.values else ""
        step = "" if p.first_step is None else str(p.first_step)
        table.add_row(name, f"{p.values:,}", f"{p.differing:,}", share, f"{p.largest:g}", step)
    out.print(table)


def _print(result: Evaluation, out: Any) -> None:
    from rich.table import Column

    from i2e_deploy.cli.common import new_table
    from i2e_deploy.reporting.rightness import by_class
    from i2e_deploy.reporting.tables import layers_of, quality_head, quality_of

    data = result.to_dict()
    head = quality_head(data)
    figures = (*head, "stability", "p50 ms/sample", "p99", "power")
    table = new_table("target", *(Column(name, justify="right") for name in figures))
    for name, row in data["targets"].items():
        power = "none" if row["power_mw"] is None else f"{row['power_mw']:.2f} mW"
        latency = row["latency_ms"]
        table.add_row(name, *quality_of(row, head), f"{row['stability']:.3f}", f"{latency['p50']:.3f}",
                      f"{latency['p99']:.3f}", power)  # fmt: skip
    out.print(table)
    counts = [f"{name}: {what}" for name in data["targets"] for what in ("spikes", "synops")]
    title = f"per sample, {data['samples']} samples, {result.how}"
    layers = new_table("layer", *(Column(name, justify="right") for name in counts), title=title)
    for layer in layers_of(data):
        cells = [row["per_sample"].get(layer, {}) for row in data["targets"].values()]
        values = [cell.get(key) for cell in cells for key in ("spikes", "synops")]
        layers.add_row(layer, *("not reported" if value is None else f"{value:,.1f}" for value in values))
    out.print(layers)
    for line in by_class(data):
        out.print(line)
    for agreement in result.agreements:
        out.print(str(agreement))
        if not agreement.exact:
            _print_partings(agreement, out)
    for name, row in data["targets"].items():
        rails = ", ".join(f"{rail} {value:.3f}" for rail, value in row["power_rails_mw"].items())
        read = [f"power in mW: {rails}"] if rails else []
        for line in (*read, *(f"{what}: {count}" for what, count in row["incidents"].items()), *row["remarks"]):
            out.print(f"{name}: {line}")
    if result.costs is not None:
        print_costs(result.costs, out)
