"""What `evaluate --neurobench` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.cli.common import Model
    from i2e_deploy.runtime import Evaluation


def write_neurobench(path: Path, result: Evaluation, model: Model, given: Path, frames: Integers | None) -> None:
    """Count the samples again, a step at a time, and write the figures as JSON.

    Args:
        given: the bundle, whose placement is taken, or the network file, which is placed as `check` places it.
        frames: [N, T, *input_shape]; None: a scene, which has none.

    Raises:
        InputError: there are no frames.
        UnsupportedError: the program does not show its connections.
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.cli.common import console, progress_bar
    from i2e_deploy.errors import InputError
    from i2e_deploy.files import replacing
    from i2e_deploy.network import Network
    from i2e_deploy.runtime.neurobench_results import neurobench_report

    if frames is None:
        raise InputError("--neurobench: a scene has no frames to count; give recordings or frames")
    check = read(given).manifest["check"] if given.is_dir() else None
    check = check or model.chip.check(model.network, program=model.program).to_dict()
    with progress_bar("counting", len(frames) * (1 + isinstance(model.network, Network))) as advance:
        data = neurobench_report(
            result, model.chip, model.program, model.network, frames, check["placement"], lambda n, _: advance(n, "")
        )
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    console(stderr=True).print(f"wrote {path}: figures as {data['definitions']} defines them")
