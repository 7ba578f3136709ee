"""kill -9, a full disk, two runs on one output and a read-only place, for every command that writes.

`benchmarks/faults.py` does more of the same by one command.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPT = str(BENCHMARKS / "faults.py")

pytest.importorskip("faery")
pytest.importorskip("av")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and signals of POSIX")


def faults(only: str, moments: int) -> str:
    """Output of the script; it ends with 1 if anything is lost or half written."""
    line = [sys.executable, SCRIPT, "--moments", str(moments), "--commands", only]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, timeout=500, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    rows = done.stdout.splitlines()[1:]
    assert rows
    for row in rows:
        kills, full, read_only, twice = map(int, row.split()[-4:])
        assert kills > 0, row
        assert full > 2, row
        assert (read_only, twice) == (1, max(1, moments // 20)), row
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "convert to .npy",
        "convert to .aedat4",
        "convert to .raw",
        "convert to .npz",
        "convert to .h5",
        "convert to .es",
        "convert to .csv",
        "convert to .dat",
        "convert to aedat2",
        "convert to aedat3.1",
        "convert to evt2",
        "convert to nmnist",
        "convert to metavision",
        "convert to rosbag",
        "convert to mcap",
        "convert to shards",
        "export",
        "simulate",
        "evaluate --junit",
        "evaluate --html",
        "report",
        "calibrate-power",
        "live --record",
    ],
)
def test_every_command_that_writes(command: str) -> None:
    faults(command, 24)
