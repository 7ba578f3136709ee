"""What a process has imported: nothing heavy by the package alone, no torch where integers run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from board_bundle import write_small_bundle
from children import run_python
from loihi_nets import draw_network

from i2e_deploy import bundle
from i2e_deploy.chips import get

#: Runs a command line and prints which of these it has imported.
SCRIPT = """
import json, sys
from i2e_deploy.cli.app import run
code = run(sys.argv[1:])
heavy = ["torch", "numba", "scipy", "matplotlib", "h5py", "jinja2", "sinabs", "rich.progress"]
print(json.dumps([code, [name for name in heavy if name in sys.modules]]))
"""


def imported(*arguments: object) -> set[str]:
    code, names = json.loads(run_python("-c", SCRIPT, *map(str, arguments)).splitlines()[-1])
    assert code == 0
    return set(names)


@pytest.fixture(scope="module")
def speck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("speck"))


@pytest.fixture(scope="module")
def loihi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = draw_network(3)
    frames = np.random.default_rng(0).integers(0, 2, (2, 4, *network.input_shape)).astype(np.int32)
    return bundle.write(tmp_path_factory.mktemp("loihi") / "bundle", get("loihi2"), network, frames).path


def test_the_package_alone_imports_nothing_but_the_standard_library() -> None:
    script = "import sys, i2e_deploy; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    names = set(run_python("-c", script).split())
    assert "i2e_deploy" in names
    assert not names & {"numpy", "torch", "numba", "scipy", "matplotlib", "dataclasses", "pathlib", "tempfile"}


def test_verify_imports_no_torch(speck: Path, loihi: Path) -> None:
    assert imported("verify", speck) <= {"numba", "scipy"}
    assert imported("verify", loihi) <= {"numba", "scipy"}


def test_the_slow_reference_takes_no_compiler(speck: Path) -> None:
    assert not imported("verify", speck, "--target", "reference")


@pytest.mark.parametrize("semantics", ["timestep", "event"])
def test_simulate_imports_no_torch(speck: Path, tmp_path: Path, semantics: str) -> None:
    np.save(tmp_path / "frames.npy", bundle.read(speck).golden.inputs)
    files = ("--input", tmp_path / "frames.npy", "--out", tmp_path / "trace.npz")
    assert imported("simulate", speck, "--chip", "speck2f", *files, "--semantics", semantics) <= {"numba", "scipy"}


@pytest.mark.slow
def test_what_looks_at_files_imports_no_compiler(speck: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "trace.npz", layer0=np.zeros((1, 2, 3), np.int32))
    assert not imported("doctor")
    assert not imported("profiles", "speck2f")
    assert not imported("check", speck, "--chip", "speck2f")
    assert not imported("compare", tmp_path / "trace.npz", tmp_path / "trace.npz")
    assert imported("report", speck) <= {"jinja2", "matplotlib", "numba", "scipy"}
