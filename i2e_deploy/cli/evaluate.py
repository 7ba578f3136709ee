"""`i2e-deploy evaluate`: the same inputs on each target, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2e_deploy.cli.common import SHAPE_HELP

if TYPE_CHECKING:
    from i2e_deploy.runtime.agreement import HilEvaluation


def command(
    model: Annotated[Path, typer.Argument(help="A bundle folder or a network file (.safetensors, .net).")],
    data: Annotated[Path, typer.Argument(help="FRAMES.npz (frames, labels), a recorded session, or class folders.")],
    target: Annotated[list[str], typer.Option(help="Where to run; give it again for each.")] = ["simulator"],  # noqa: B006
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")] = "speck2f",
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    semantics: Annotated[str, typer.Option(help="timestep (exact to Sinabs).")] = "timestep",
    steps: Annotated[int, typer.Option(min=1, help="Time steps of a recording in class folders.")] = 8,
    limit: Annotated[int, typer.Option(min=0, help="At most so many samples; 0 = all.")] = 0,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page here.")] = None,
    min_accuracy: Annotated[float, typer.Option(min=0, max=1, help="Fail below this share of right decisions.")] = 0,
    min_agreement: Annotated[float, typer.Option(min=0, max=1, help="Fail below this share of equal ones.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Accuracy, agreement, first divergence, spikes, synaptic operations and latency on each target.

    Class folders hold event files: data/<class>/<name>.bin and so on; classes count in sorted order. A recorded
    session has no labels: then agreement and stability are what is told.

    Example: i2e-deploy evaluate demo_output/bundle frames.npz --target simulator --target reference
    """
    from i2e_deploy.cli.common import console, print_json, progress_bar, read_program_of
    from i2e_deploy.errors import CheckFailed
    from i2e_deploy.files import replacing
    from i2e_deploy.reporting.evaluation import write_evaluation
    from i2e_deploy.reporting.junit import junit_xml
    from i2e_deploy.runtime.agreement import evaluate_targets
    from i2e_deploy.runtime.eval_data import read_samples

    program = read_program_of(model, chip, input_shape)
    frames, labels = read_samples(data, tuple(program.input_shape), steps, limit)
    with progress_bar("evaluating", -(-len(frames) // 50)) as advance:
        result = evaluate_targets(program, frames, labels, target, semantics, progress=lambda n, _: advance(n, ""))
    if html is not None:
        write_evaluation(result, html)
    if junit is not None:
        with replacing(junit) as temporary:
            temporary.write_text(junit_xml(result, min_accuracy, min_agreement), encoding="utf-8")
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result, console())
    failed = [
        f"{name}: accuracy {row['accuracy']:.4f} is below {min_accuracy}"
        for name, row in result.to_dict()["targets"].items()
        if row["accuracy"] is not None and row["accuracy"] < min_accuracy
    ]
    failed += [
        f"{a.first} and {a.second} agree on {a.same} of {result.total} decisions, fewer than {min_agreement} of them"
        for a in result.agreements
        if a.same < min_agreement * result.total
    ]
    if failed:
        raise CheckFailed("; ".join(failed))


def _print(result: HilEvaluation, out: Any) -> None:
    from rich.table import Table

    data = result.to_dict()
    table = Table("target", "accuracy", "95 % interval", "stability", "p50 ms/sample", "p99", "power")
    for name, row in data["targets"].items():
        accuracy = "no labels" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f} %"
        interval = "" if row["interval95"] is None else " to ".join(f"{100 * v:.2f}" for v in row["interval95"])
        power = "none" if row["power_mw"] is None else f"{row['power_mw']:.2f} mW"
        latency = row["latency_ms"]
        table.add_row(name, accuracy, interval, f"{row['stability']:.3f}", f"{latency['p50']:.3f}",
                      f"{latency['p99']:.3f}", power)  # fmt: skip
    out.print(table)
    layers = Table("layer", *(f"{name}: {what}" for name in data["targets"] for what in ("spikes", "synops")))
    first = next(iter(data["targets"].values()))
    for layer in first["per_sample"]:
        cells = [row["per_sample"][layer] for row in data["targets"].values()]
        layers.add_row(layer, *(f"{cell[key]:,.1f}" for cell in cells for key in ("spikes", "synops")))
    layers.title = f"per sample, {data['samples']} samples"
    out.print(layers)
    for pair in data["agreement"]:
        verdict = "every spike equal" if pair["exact"] else f"first divergence: {pair['divergence']}"
        out.print(
            f"{pair['first']} and {pair['second']}: {pair['same']} of {data['samples']} decisions equal; {verdict}"
        )
