"""A bundle's golden inputs as a job for a board that is elsewhere: one file goes there, one comes back.

job.zip        run.py (needs the vendor's packages and no other), job.json (what was asked, and what our simulator
               expects), files of the chip
results.zip    results.json (format, the job's name, machine, incidents, shapes), NAME.bin (int64, little-endian)

What comes back is a stranger's file: names, sizes and shapes are bounded before memory is taken.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from i2e_deploy.bundle.bundle import GOLDEN, PROGRAM, Bundle
from i2e_deploy.chips.abilities import MakesJobs, require
from i2e_deploy.chips.base import SPREAD
from i2e_deploy.chips.jobs import Job, Returned
from i2e_deploy.chips.options import Injection, Semantics
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import Events
from i2e_deploy.files import check_exists, replacing
from i2e_deploy.runtime.evaluation import Evaluation
from i2e_deploy.runtime.evaluator import evaluate_traces
from i2e_deploy.text import one_line

FORMAT, RESULTS_FORMAT, FORMAT_VERSION = "i2e-deploy-job", "i2e-deploy-results", 1
SCRIPT, ABOUT, RESULTS_ABOUT = "run.py", "job.json", "results.json"
#: Of what comes back: bytes of the file and of all arrays, bytes of `results.json`, arrays, characters of a text.
MAX_BYTES, MAX_ABOUT, MAX_ARRAYS, MAX_TEXT = 2**30, 2**20, 256, 300
#: The same time in every file, so that the same job is the same bytes.
_DATE = (2020, 1, 1, 0, 0, 0)


def write_job(bundle: Bundle, path: Path | str) -> Job:
    """Write `path`, whole or not at all, and give the chip's part of it.

    Raises:
        UnsupportedError: no script runs programs of this chip, or this program.
        InputError: the path cannot be written.
    """
    job, (_, injection, semantics) = _job_of(bundle), _asked(bundle)
    about = {
        "format": FORMAT, "format_version": FORMAT_VERSION, "id": job_name(bundle), "chip": bundle.chip.profile.name,
        "needs": job.needs, "semantics": semantics, "step_us": injection.step_us, **job.about,
    }  # fmt: skip
    with replacing(Path(path)) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        texts = {SCRIPT: job.script.encode(), ABOUT: json.dumps(about, indent=1).encode()}
        for name, data in {**texts, **job.files}.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return job


def job_name(bundle: Bundle) -> str:
    """What names the job of a bundle: its integers and its golden vectors."""
    files = bundle.manifest["files"]
    return hashlib.sha256(f"{files[PROGRAM]['sha256']} {files[GOLDEN]['sha256']}".encode()).hexdigest()


def read_results(path: Path | str, bundle: Bundle) -> Returned:
    """What came back of `write_job(bundle, ...)`.

    Raises:
        InputError: no such file, too large, or of another job.
        FileFormatError: damaged, or not such a file.
    """
    path = Path(path)
    check_exists(path, MAX_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if sizes.get(RESULTS_ABOUT, MAX_ABOUT + 1) > MAX_ABOUT:
                raise ValueError(f"it has no {RESULTS_ABOUT} of at most {MAX_ABOUT} bytes")
            about = json.loads(_read(archive, RESULTS_ABOUT, sizes[RESULTS_ABOUT]))
            if (about["format"], about["format_version"]) != (RESULTS_FORMAT, FORMAT_VERSION):
                raise ValueError(f"format {about['format']!r} version {about['format_version']!r}")
            shapes = _shapes(about["arrays"], sizes)
            if about["job"] != job_name(bundle):
                raise InputError(f"{path} is of another job: it was made by another bundle, or by another export")
            arrays = {
                name: np.frombuffer(_read(archive, f"{name}.bin", 8 * prod(shape)), "<i8").reshape(shape)
                for name, shape in shapes.items()
            }
            incidents = {str(what)[:MAX_TEXT]: int(count) for what, count in dict(about["incidents"]).items()}
            return Returned(arrays, incidents, " ".join(str(about["machine"]).split())[:MAX_TEXT])
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and json raise a dozen kinds
        raise FileFormatError(f"{path} does not hold the results of a job: {one_line(error)}") from error


def evaluate_results(bundle: Bundle, targets: Sequence[str]) -> Evaluation:
    """The golden inputs of a bundle on targets, of which those that end in `.zip` are what came back of its job.

    The simulator comes first where no other target is named: it is what the board is compared with.

    Raises:
        InputError: a target named twice, or see `read_results`.
        UnsupportedError: see `Program.run_on`.
    """
    given, injection, semantics = _asked(bundle)
    names = list(targets) if any(not is_results(name) for name in targets) else ["simulator", *targets]
    if len(set(names)) != len(names):
        raise InputError(f"targets {names}: name at least one, each once")
    traces: dict[str, Trace] = {}
    seconds: dict[str, float] = {}
    for name in names:
        began = perf_counter()
        if is_results(name):
            returned, job = read_results(name, bundle), _job_of(bundle)
            program = require(bundle.program, MakesJobs, name)
            traces[name] = program.trace_of_job(returned, given, job, injection)
        else:
            traces[name] = bundle.program.run_on(name, given, semantics, injection)
        seconds[name] = perf_counter() - began
    steps = next(iter(traces.values())).output.shape[1]
    return evaluate_traces(bundle.program, traces, seconds, steps * injection.step_us * 1e-6, semantics)


def is_results(target: str) -> bool:
    """Whether a target is a file of results."""
    return target.endswith(".zip")


def _job_of(bundle: Bundle) -> Job:
    given, injection, _ = _asked(bundle)
    program = require(bundle.program, MakesJobs, "a job for a board that is elsewhere")
    return program.job(bundle.chip.profile.name, given, injection, bundle.cores)


def _asked(bundle: Bundle) -> tuple[Integers | Events, Injection, Semantics]:
    """What runs, how, and in which semantics the board has it."""
    golden, exported = bundle.golden, str(bundle.manifest["semantics"])
    semantics = bundle.program.semantics_on("board", exported)
    if semantics == exported:
        return golden.given, golden.injection, semantics
    return golden.inputs, SPREAD if bundle.step_us is None else Injection(step_us=bundle.step_us), semantics


def _shapes(arrays: Any, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Shapes by name, with as many bytes in the file and no more than are read.

    Raises:
        ValueError, TypeError: they cannot be.
    """
    shapes = {str(name): tuple(shape) for name, shape in dict(arrays).items()}
    if len(shapes) > MAX_ARRAYS or any(type(n) is not int or n < 0 for shape in shapes.values() for n in shape):
        raise ValueError(f"more than {MAX_ARRAYS} arrays, or shapes that cannot be")
    wanted = {name: 8 * prod(shape) for name, shape in shapes.items()}
    if sum(wanted.values()) > MAX_BYTES:
        raise ValueError(f"it claims {sum(wanted.values())} bytes: at most {MAX_BYTES} are read")
    for name, size in wanted.items():
        if sizes.get(f"{name}.bin") != size:
            raise ValueError(f"array {name!r} says {size} bytes, and the file has {sizes.get(f'{name}.bin')}")
    return shapes


def _read(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """That many bytes: the sizes that an archive states may be false, so no more is unpacked."""
    with archive.open(name) as member:
        data = member.read(size + 1)
    if len(data) != size:
        raise ValueError(f"{name} holds other than {size} bytes")
    return data
