"""`export --job` and `evaluate --target results.zip`: samples for a board that is elsewhere, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.chips.jobs import Job
    from i2e_deploy.runtime import Evaluation


def refuse_job_path(job: Path | None) -> None:
    """Raise InputError for a path that cannot become a job, before anything is made."""
    if job is None:
        return
    if job.suffix != ".zip":
        raise InputError(f"--job is {job}: a job is a .zip file; give a name that ends so")
    if not job.parent.is_dir():
        raise InputError(f"--job is {job}: no such folder: {job.parent}")


def tell_of_job(job: Job, path: Path) -> None:
    """Say on standard error what is to be done with it."""
    from i2e_deploy.cli.common import console

    console(stderr=True).print(
        f"wrote {path}: unpack it on a machine with {job.needs}, run `python run.py` there, and bring results.zip back"
    )


def results_of_job(model: Path, data: str, targets: Sequence[str], chips: Sequence[str]) -> Evaluation:
    """The golden inputs of a bundle on the targets, of which one at least is a results.zip.

    Raises:
        InputError: data or several chips beside it, no bundle, or see `bundle.evaluate_results`.
    """
    from i2e_deploy.bundle import evaluate_results, read
    from i2e_deploy.cli.common import working

    if data:
        raise InputError(f"{data}: results of a job are of the golden inputs of its bundle; leave the data out")
    bundle = read(model)
    if chips and list(chips) != [bundle.chip.profile.name]:
        raise InputError(f"--chip {', '.join(chips)}: {model} is a bundle for {bundle.chip.profile.name}; leave it out")
    with working("reading what came back"):
        return evaluate_results(bundle, targets)
