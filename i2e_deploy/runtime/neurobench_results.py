"""An evaluation in NeuroBench's terms: its figures of every target, and beside them what the chip alone knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from i2e_deploy.chips.base import SIMULATORS, Chip, Program
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.options import FLOAT, Semantics
from i2e_deploy.chips.trace import Integers
from i2e_deploy.network.graph import Network
from i2e_deploy.runtime.evaluation import Evaluation
from i2e_deploy.runtime.neurobench import DEFINITIONS, Deployed, Trained, neurobench_figures

FORMAT, FORMAT_VERSION = "i2e-deploy-neurobench", 1


def neurobench_report(
    evaluation: Evaluation, chip: Chip, program: Program, network: AnyNetwork, frames: Integers,
    placement: Sequence[Mapping[str, Any]], progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Plain data for JSON: what runs on the simulator is counted, and the float network, evaluated or not.

    Args:
        evaluation: of these frames.
        frames: [N, T, *input_shape].
        placement: of the layers, as `CheckReport.to_dict` has it; empty: not placed.
        progress: called with (samples done, samples in all); those of the float network follow the program's.

    Raises:
        UnsupportedError: the program does not show its connections.
    """
    semantics: Semantics = evaluation.semantics
    counted = {"integers": neurobench_figures(Deployed(program, semantics), frames, progress)}
    if isinstance(network, Network):
        on = None if progress is None else lambda done, total: progress(done + total, 2 * total)
        counted[FLOAT] = neurobench_figures(Trained(network), frames, on)
    results = {result.target: result for result in evaluation.results}
    targets: dict[str, Any] = {}
    for name in dict.fromkeys([*results, *(name for name in (FLOAT,) if name in counted)]):
        figures = counted.get(FLOAT if name == FLOAT else "integers" if name in SIMULATORS else "", {})
        told = results[name].measures if name in results else {}
        targets[name] = {**figures, **told}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "definitions": DEFINITIONS,
        "samples": evaluation.total,
        "steps": int(frames.shape[1]),
        "semantics": semantics,
        "targets": targets,
        "chip": _on_chip(evaluation, chip, placement),
    }


def _on_chip(evaluation: Evaluation, chip: Chip, placement: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Cores, words of memory and load, which no harness outside can see."""
    words: dict[str, dict[str, int]] = {}
    for slot in placement:
        for kind, used in slot["used"].items():
            row = words.setdefault(kind, {"used": 0, "available": 0})
            row["used"] += used
            row["available"] += slot["available"][kind]
    costs = evaluation.costs
    loads = [] if costs is None else [row.load for row in costs.loads]
    return {
        "name": chip.profile.name,
        "cores": len({slot["core"] for slot in placement}),
        "cores_available": len(chip.profile.cores),
        "memory_words": words,
        "layers": [dict(slot) for slot in placement],
        "largest_load": max(loads, default=None),
        "estimates": [] if costs is None else costs.to_dict()["figures"],
    }
