"""The pytest plugin for users, run as they run it: `pytest --i2e-bundles FOLDER` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import single_neuron

from i2e_deploy import bundle
from i2e_deploy.chips import get


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bundles: whole, with other golden vectors than its checksums say, with a damaged manifest."""
    root = tmp_path_factory.mktemp("networks")
    frames = np.ones((1, 4, 1, 1, 1), np.uint8)
    for name in ("good", "changed", "damaged"):
        bundle.write(root / name, get("speck2f"), single_neuron(1.0, 1.0), frames)
    golden = root / "changed" / "golden.safetensors"
    data = golden.read_bytes()
    golden.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (root / "damaged" / "manifest.json").write_text("{")
    (root / "other").mkdir()
    (root / "other" / "manifest.json").write_text("{}")
    return root


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_each_bundle_is_verified_on_each_target(folder: Path) -> None:
    ended = run("--i2e-bundles", "--i2e-target", "simulator", "--i2e-target", "reference", ".", cwd=folder)
    assert ended.returncode == 1
    assert "2 passed" in ended.stdout
    assert "4 failed" in ended.stdout
    for text in ("good/manifest.json::verify[reference]", "golden.safetensors", "manifest.json"):
        assert text in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_nothing_happens_unasked(folder: Path) -> None:
    assert run(".", cwd=folder).returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_asked_in_the_configuration(folder: Path) -> None:
    assert "1 passed" in run("-o", "i2e_bundles=true", "good", cwd=folder).stdout
