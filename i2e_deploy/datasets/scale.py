"""Convert a whole data set: plan, run what is missing, write the manifest.

A folder in progress holds finished shards under their final names and `.progress/` with the plan, one
report a shard, and temporary files. A complete folder holds shards and `manifest.json`, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from i2e_deploy.datasets.executors import Executor, run_tasks
from i2e_deploy.datasets.name_table import classes_of
from i2e_deploy.datasets.plan import Plan, Settings, make_plan
from i2e_deploy.datasets.shard import (
    PROGRESS,
    ShardReport,
    ShardTask,
    check_shard,
    read_report,
    write_json,
    write_shard,
)
from i2e_deploy.datasets.sources import ImageSource, open_source, parquet_module
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import check_exists
from i2e_deploy.text import one_line

MANIFEST = "manifest.json"
#: Largest record that is read, bytes: a million shards.
MAX_RECORD = 2**29
#: Executor, workers and address, see `executors.run_tasks`.
How = tuple[Executor, int, "str | None"]


@dataclass(frozen=True)
class Progress:
    """Given to the callback after each shard: images done (found finished ones included), broken, total."""

    done: int
    skipped: int
    total: int


def convert_dataset(
    source: str | Path,
    out: str | Path,
    settings: Settings,
    *,
    executor: Executor = "process",
    workers: int = 1,
    address: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    labels: Path | None = None,
) -> dict[str, Any]:
    """Convert all images of `source` to Parquet shards in the folder `out`; go on where a killed run stopped.

    The bytes of the result depend on the source, the settings and the version of pyarrow, not on the
    executor, the workers, or how often it was interrupted. With several workers the calling script
    needs the usual `if __name__ == "__main__":`.

    Args:
        source: folder tree, .zip, .tar, .parquet or folder of .parquet, see `sources`.
        out: folder to write; made if absent.
        settings: how to convert.
        executor: see `executors.run_tasks`.
        workers: see `executors.run_tasks`.
        address: see `executors.run_tasks`.
        progress: called after each shard.
        labels: CSV file `name,label` that gives the classes instead of folders.

    Returns:
        The manifest: plan, shards with rows, bytes and SHA-256, skipped images with reasons, and `left_out`, the
        number of pictures of each kind that is not read, where there are some.

    Raises:
        InputError: no images, `out` belongs to another conversion, was made of other pictures, or is in use.
        FileFormatError: a broken image with `on_broken="fail"`, or a broken archive.
        MissingDependency: pillow, pyarrow, or the executor's package is not installed.
    """
    parquet_module("writing Parquet shards")
    folder, origin = Path(out), str(Path(source).resolve())
    images = open_source(origin)
    plan = make_plan(names := images.names(), settings, None if labels is None else classes_of(labels, names))
    folder.mkdir(parents=True, exist_ok=True)
    with _sole_writer(folder):
        how = executor, workers, address
        if (folder / MANIFEST).exists():
            return _finished(folder, origin, plan, how)
        _start(folder, plan)
        reports = [read_report(folder, shard.file) for shard in plan.shards]
        finished = [report for report in reports if report and report.content]  # else of 0.1.0: written again
        _require_content(folder, origin, plan, {report.file: report.content for report in finished}, how)
        _run(folder, origin, plan, finished, progress, how)
        manifest = _manifest(folder, plan, images)
        write_json(folder / MANIFEST, manifest, folder / PROGRESS)
        shutil.rmtree(folder / PROGRESS)
    return manifest


def _run(
    folder: Path,
    origin: str,
    plan: Plan,
    finished: list[ShardReport],
    progress: Callable[[Progress], None] | None,
    how: How,
) -> None:
    """Write the shards that are not in `finished`."""
    complete = {report.file for report in finished}
    missing = [shard for shard in plan.shards if shard.file not in complete]
    total = sum(len(shard.names) for shard in plan.shards)
    done, skipped = sum(r.rows for r in finished), sum(len(r.skipped) for r in finished)
    if progress:
        progress(Progress(done + skipped, skipped, total))
    tasks = [ShardTask(origin, str(folder.resolve()), plan.settings, plan.classes, shard) for shard in missing]
    executor, workers, address = how
    for report in run_tasks(write_shard, tasks, executor, workers, address) if tasks else ():
        if report.error:
            raise FileFormatError(f"{report.error}; nothing of this shard was written (on_broken is 'fail')")
        done, skipped = done + report.rows, skipped + len(report.skipped)
        if progress:
            progress(Progress(done + skipped, skipped, total))


def _start(folder: Path, plan: Plan) -> None:
    """Write the plan, or make sure that the one found is the same; clear what a killed run left."""
    path = folder / PROGRESS / "plan.json"
    if path.exists():
        _require_same(_read_record(path), plan, folder)
    elif any(folder.glob("*.parquet")):
        raise InputError(f"{folder} holds .parquet files of another origin: give an empty or new folder")
    path.parent.mkdir(exist_ok=True)
    for leftover in path.parent.glob("*.tmp"):
        leftover.unlink(missing_ok=True)
    write_json(path, plan.record(), path.parent)


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """The manifest of a folder that `convert_dataset` has finished.

    Raises:
        InputError: there is none, or it is none of shards.
        FileFormatError: it is damaged.
    """
    path = Path(folder) / MANIFEST
    record = _read_record(path)
    if not isinstance(record.get("plan"), dict) or not isinstance(record.get("shards"), list):
        raise InputError(f"{path} is no manifest of shards: give a folder that `i2e-deploy convert` wrote")
    return record


def _finished(folder: Path, origin: str, plan: Plan, how: How) -> dict[str, Any]:
    """The manifest of a complete folder, whose pictures are still the same."""
    manifest = _read_record(folder / MANIFEST)
    _require_same(manifest.get("plan"), plan, folder)
    try:
        contents = {str(shard["file"]): str(shard.get("content", "")) for shard in manifest["shards"]}
        numbers = [shard[key] for shard in manifest["shards"] for key in ("rows", "bytes")]
        pairs = all(len(pair) == 2 for pair in manifest["skipped"])
        if not pairs or not all(isinstance(number, int) for number in numbers):
            raise TypeError("rows, bytes or skipped")
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / MANIFEST, error) from error
    _require_content(folder, origin, plan, contents, how)
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    return manifest


def _read_record(path: Path) -> dict[str, Any]:
    """What `write_json` wrote."""
    check_exists(path, MAX_RECORD)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise TypeError("no object")
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error
    return record


def _damaged(path: Path, error: Exception) -> FileFormatError:
    return FileFormatError(
        f"{path} is damaged ({type(error).__name__}: {one_line(error)}): delete it, and what is missing is made again"
    )


def _require_same(found: Any, plan: Plan, folder: Path) -> None:
    found = found if isinstance(found, dict) else {}
    if found.get("digest") != plan.digest:
        wanted, present = plan.record(), found
        different = sorted(
            key for key in ("format", "settings", "classes", "images") if wanted[key] != present.get(key)
        )
        raise InputError(
            f"{folder} holds a conversion with other {', '.join(different) or 'image names'}: "
            "give another folder, or the same source and settings to go on with this one"
        )


def _require_content(folder: Path, origin: str, plan: Plan, contents: dict[str, str], how: How) -> None:
    """Raise InputError if a finished shard was made of other pictures than those that are there now."""
    shards = [shard for shard in plan.shards if shard.file in contents]
    tasks = [
        (ShardTask(origin, str(folder.resolve()), plan.settings, plan.classes, shard), contents[shard.file])
        for shard in shards
    ]
    for file, fault in run_tasks(_checked, tasks, *how) if tasks else ():
        if fault:
            raise InputError(f"{folder}: {file} {fault}: give a new folder, or delete this one")


def _checked(task: tuple[ShardTask, str]) -> tuple[str, str]:
    return task[0].shard.file, check_shard(*task)


def _manifest(folder: Path, plan: Plan, images: ImageSource) -> dict[str, Any]:
    """From the reports, which name the bytes that were renamed into place."""
    reports = [read_report(folder, shard.file) for shard in plan.shards]
    missing = [shard.file for shard, report in zip(plan.shards, reports, strict=True) if report is None]
    if missing:
        raise FileFormatError(f"{folder}: {missing[0]} vanished while the conversion ran")
    shards = [asdict(report) for report in reports if report]
    skipped = [pair for shard in shards for pair in shard.pop("skipped")]
    for shard in shards:
        del shard["error"]
    left_out = {"left_out": images.left_out()} if images.left_out() else {}
    return {"plan": plan.record(), "shards": shards, "skipped": [list(pair) for pair in skipped], **left_out}


@contextlib.contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder; the system frees it when this process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows: no lock
        yield
        return
    import os

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError(f"{folder} is being written by another process: wait for it or stop it") from None
    try:
        yield
    finally:
        os.close(descriptor)
