"""Run a Python script in a child interpreter, with a time limit that also ends what it forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

SUPPORT = str(Path(__file__).parent)


def lava_is_installed() -> bool:
    try:
        return all(find_spec(name) for name in ("lava.magma", "lava.lib.dl.slayer"))
    except ModuleNotFoundError:
        return False


needs_lava = pytest.mark.skipif(not lava_is_installed(), reason="lava-nc, lava-dl not installed")
needs_lava_run = pytest.mark.skipif(
    not lava_is_installed() or np.lib.NumpyVersion(np.__version__) >= "2.0.0",
    reason="lava-nc, lava-dl not installed, or numpy 2, beside which Lava's processes fail or hang",
)


def run_script(script: Path, *args: str, time_limit: float = 240.0) -> str:
    """The standard output of `python script args`; tests/support is on its path."""
    return run_python(str(script), *args, time_limit=time_limit)


def run_python(*args: str, time_limit: float = 240.0) -> str:
    """The standard output of `python args`; tests/support is on its path."""
    child = subprocess.Popen(
        [sys.executable, *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([SUPPORT, os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    try:
        out, err = child.communicate(timeout=time_limit)
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise
    assert child.returncode == 0, err
    return out
