"""What `evaluate --neurobench` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.cli.common import Model
    from i2e_deploy.runtime import Evaluation


def require_connections(model: Model) -> None:
    """Raise UnsupportedError for a program that does not show its connections."""
    from i2e_deploy.chips.abilities import ShowsConnections, require

    require(model.program, ShowsConnections, "--neurobench")


def figures_of(result: Evaluation, model: Model, given: Path, frames: Integers | None) -> dict[str, Any]:
    """Count the samples again, a step at a time.

    Args:
        given: the bundle, whose placement is taken where it is of this chip, or the network file, which is placed as
            `check` places it.
        frames: [N, T, *input_shape]; None: a scene, which has none.

    Raises:
        InputError: there are no frames.
        UnsupportedError: the program does not show its connections.
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.cli.common import progress_bar
    from i2e_deploy.errors import InputError
    from i2e_deploy.network import Network
    from i2e_deploy.runtime.neurobench_results import neurobench_report

    if frames is None:
        raise InputError("--neurobench: a scene has no frames to count; give recordings or frames")
    bundle = read(given) if given.is_dir() else None
    own = bundle is not None and bundle.manifest["chip"] == model.chip.profile.name
    check = bundle.manifest["check"] if bundle is not None and own else None
    check = check or model.chip.check(model.network, program=model.program).to_dict()
    with progress_bar("counting", len(frames) * (1 + isinstance(model.network, Network))) as advance:
        return neurobench_report(
            result, model.chip, model.program, model.network, frames, check["placement"], lambda n, _: advance(n, "")
        )


def figures_beside(figures: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Of several chips: by name what the file of one chip has."""
    definitions = next(iter(figures.values()))["definitions"]
    return {"definitions": definitions, "chips": dict(figures)}


def write_neurobench(path: Path, figures: Mapping[str, Any]) -> None:
    """Write the figures as JSON."""
    from i2e_deploy.cli.common import console
    from i2e_deploy.files import replacing

    with replacing(path) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    console(stderr=True).print(f"wrote {path}: figures as {figures['definitions']} defines them")
