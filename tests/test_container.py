"""What a container asks of the package, without an engine: another user, no home, no network, nothing written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import i2e_deploy as i2e
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Containerfile").read_text()


def test_the_containerfile_names_what_is_there() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    (extras,) = re.findall(r"/source\[(.*?)\]", TEXT)
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras.split(","))
    (torch,) = re.findall(r"torch==(\S+)", TEXT)
    assert f"torch=={torch}\n" in (ROOT / "constraints.txt").read_text()
    stages = re.findall(r"^FROM python:(\S+?)-slim", TEXT, re.MULTILINE)
    assert stages == ["3.11", "3.11"]
    assert TEXT.index("\nUSER 10001") > TEXT.rindex("\nRUN ")  # nothing is run as root in what is shipped


def test_what_is_copied_is_what_the_build_needs() -> None:
    ignored = (ROOT / ".containerignore").read_text()
    assert ignored == (ROOT / ".dockerignore").read_text()
    kept = re.findall(r"^!(.*)$", ignored, re.MULTILINE)
    assert all((ROOT / name).exists() for name in kept)
    assert {"pyproject.toml", "README.md", "LICENSE", "i2e_deploy", "hardware_profiles", "constraints.txt"} == set(kept)


@pytest.fixture
def bundle() -> Iterator[Path]:
    """In a folder that everybody can read, and nobody else can write."""
    folder = Path(tempfile.mkdtemp(prefix="i2e-container-"))
    folder.chmod(0o755)
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 4, 4)).astype(np.float32)
    network = chain((2, 4, 4), {"conv": Conv2d(weight), "n": IntegrateAndFire(1.0, -1.0)})
    frames = (np.random.default_rng(1).random((2, 5, 2, 4, 4)) < 0.4).astype(np.uint8)
    i2e.bundle.write(folder / "b", i2e.chips.get("speck2f"), network, frames)
    yield folder / "b"
    shutil.rmtree(folder)


def as_another(python: str, *arguments: str) -> list[str]:
    """A Python as user 10001 without home, network, rights and environment."""
    paths = f"{ROOT}:{sysconfig.get_path('purelib')}"
    return [
        "unshare", "--net", "setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups", "--no-new-privs",
        "--inh-caps=-all", "--bounding-set=-all", "env", "-i", "PATH=/usr/bin:/bin", f"PYTHONPATH={paths}",
        "PYTHONDONTWRITEBYTECODE=1", python, *arguments,
    ]  # fmt: skip


def can_import(python: str) -> bool:
    """Whether that user can, by a Python of this version."""
    asked = f"import sys; assert sys.version_info[:2] == {sys.version_info[:2]}; import i2e_deploy, numba"
    return subprocess.run(as_another(python, "-c", asked), capture_output=True, check=False, cwd="/").returncode == 0


@pytest.mark.slow
def test_another_user_without_home_and_network_verifies_a_bundle(bundle: Path) -> None:
    tools = [shutil.which(name) for name in ("unshare", "setpriv")]
    if os.geteuid() != 0 or None in tools:
        pytest.skip("needs root, unshare and setpriv, to give rights up")
    before = sorted(path.name for path in bundle.iterdir())
    python = next(filter(can_import, dict.fromkeys([sys.executable, "/usr/bin/python3"])), None)
    if python is None:
        pytest.skip("this machine gives no namespaces, or another user cannot read this installation")
    run = "import sys; from i2e_deploy.cli import main; main()"
    command = as_another(python, "-c", run, "verify", str(bundle), "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=300)
    assert done.returncode == 0, done.stderr
    assert '"exact": true' in done.stdout
    assert sorted(path.name for path in bundle.iterdir()) == before
    shutil.rmtree(Path(tempfile.gettempdir()) / "i2e_deploy-numba-10001", ignore_errors=True)
