"""`export --job` for Loihi 2: a script that needs Lava alone, run here with Lava's models on the processor."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from children import needs_lava_run
from loihi_nets import draw_frames, draw_network

from i2e_deploy import bundle
from i2e_deploy import network as nw
from i2e_deploy.bundle import job as jobs
from i2e_deploy.chips import LowerOptions, get
from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.jobs import Returned
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames
from i2e_deploy.chips.loihi2.targets.lava.job import job_trace, make_job
from i2e_deploy.errors import FileFormatError, UnsupportedError

#: Runs run.py where importing this project fails.
ALONE = """
import runpy, sys
sys.modules["i2e_deploy"] = None
sys.argv = ["run.py", *{arguments!r}]
runpy.run_path({script!r}, run_name="__main__")
"""


def run_alone(job: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = ALONE.format(script=str(job / "run.py"), arguments=list(arguments))
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False, cwd=job, env=settings
    )


def unpacked(made: bundle.Bundle, folder: Path) -> Path:
    jobs.write_job(made, folder / "job.zip")
    with zipfile.ZipFile(folder / "job.zip") as archive:
        archive.extractall(folder / "job")
    return folder / "job"


def written(folder: Path, kind: str) -> bundle.Bundle:
    """Made of a float network, or drawn as integers of Loihi 2."""
    if kind == "lowered":  # late by a step a layer, so that the readout waits
        rng = np.random.default_rng(1)
        layers = {
            "conv": nw.Conv2d(rng.normal(0.1, 0.3, (3, 2, 3, 3)).astype(np.float32), padding=(1, 1)),
            "n": nw.IntegrateAndFire(reset="zero"),
            "flat": nw.Flatten(),
            "last": nw.Linear(rng.normal(0.05, 0.3, (4, 108)).astype(np.float32)),
            "out": nw.IntegrateAndFire(reset="zero"),
        }
        network, chip, options = nw.chain((2, 6, 6), layers), get("loihi2"), LowerOptions(standard_neurons=True)
        frames, lowered = (
            rng.integers(0, 2, (2, 5, 2, 6, 6)),
            (chip.check(network, options), chip.lower(network, options)),
        )
        return bundle.write(folder / "b", chip, network, frames, lowered=lowered)
    drawn = draw_network(int(kind))
    return bundle.write(folder / "b", get("loihi2"), drawn, draw_frames(drawn, 3, samples=2, steps=8))


@needs_lava_run
@pytest.mark.parametrize("kind", ["lowered", "0"])
def test_what_lava_sends_back_is_what_we_compute(kind: str, tmp_path: Path) -> None:
    made = written(tmp_path, kind)
    done = run_alone(unpacked(made, tmp_path), "--cpu")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if "expected" in line]
    assert len(lines) == len(made.program.layer_names) * 2
    for line in lines:
        found, _, expected = line.partition(": ")[2].partition(" messages, expected ")
        assert found == expected
    result = jobs.evaluate_results(made, [str(tmp_path / "job" / "results.zip")])
    board = result.results[1]
    np.testing.assert_array_equal(board.decisions, result.results[0].decisions)
    assert result.agreements[0].exact
    assert sum(layer["spikes"] for layer in board.activity.values()) > 0


@needs_lava_run
def test_without_intels_extension_it_says_so(tmp_path: Path) -> None:
    done = run_alone(unpacked(written(tmp_path, "0"), tmp_path))
    assert done.returncode == 1
    assert "lava-loihi is not installed: it comes from Intel's INRC" in done.stderr
    assert not (tmp_path / "job" / "results.zip").exists()


def test_results_that_do_not_fit_are_refused() -> None:
    network = draw_network(0)
    frames = flat_frames(draw_frames(network, 0, samples=2, steps=4), network)
    job = make_job(network, frames)
    assert set(job.files) == {"program.net", "frames.npy"}
    for arrays in ({}, {"sent0": np.zeros((2, 4, 1), np.int64)}, {"sent0": np.zeros((1, 4, 1), np.int64)}):
        with pytest.raises(FileFormatError, match="the results h"):
            job_trace(network, Returned(arrays, {}, "somewhere"), frames)
    with pytest.raises(UnsupportedError, match="brings back what layers send"):
        make_job(network.decided_by(Deciding("state")), frames)
