"""The doctor tells what is there by looking at files, and never imports `samna`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from i2e_deploy import environment
from i2e_deploy.files import write_tensors
from i2e_deploy.requirements import install_command


def put_package(folder: Path, files: list[str]) -> None:
    (folder / "samna").mkdir(parents=True)
    for file in files:
        text = "raise RuntimeError('imported')" if file.endswith(".py") else ""
        (folder / "samna" / file).write_text(text)


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        (["__init__.py"], "absent", "stub"),
        (["__init__.py", "samna.cpython-311-x86_64-linux-gnu.so"], "ok", "real library"),
    ],
)
def test_samna_is_told_by_its_files_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], status: str, words: str
) -> None:
    put_package(tmp_path, files)
    for name in [name for name in sys.modules if name.split(".")[0] == "samna"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    row = environment.samna()
    assert row.status == status
    assert words in row.found
    assert (row.fix == "") is (status == "ok")
    assert "samna" not in sys.modules


def test_usb_devices_are_recognised(tmp_path: Path) -> None:
    for name, vendor, product in (("1-1", "152a", "DAVIS346"), ("1-2", "ffff", "mouse"), ("1-3", "337d", "Speck2f")):
        (tmp_path / "usb" / name).mkdir(parents=True)
        (tmp_path / "usb" / name / "idVendor").write_text(f"{vendor}\n")
        (tmp_path / "usb" / name / "product").write_text(f"{product}\n")
    rows = {row.name: row for row in environment.examine(tmp_path / "usb", tmp_path)}
    assert rows["event camera"].found == "iniVation DAVIS346"
    assert rows["neuromorphic board"].found == "SynSense Speck2f"
    nothing = {row.name: row for row in environment.examine(tmp_path, tmp_path)}
    assert nothing["event camera"].status == nothing["GPU"].status == "absent"


def test_missing_packages_come_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_version", lambda package: None)
    rows = {row.name: row for row in environment.examine()}
    assert rows["torch"].status == "bad"
    assert rows["torch"].fix.startswith("pip install")
    assert rows["sinabs"].status == "absent"
    assert rows["sinabs"].fix == "pip install 'sinabs<4,>=3.1'"


def test_numpy_2_beside_lava_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_version", lambda package: "2.3.5")
    rows = {row.name: row for row in environment.examine()}
    assert rows["numpy"].status == "bad"
    assert "numpy<2" in rows["numpy"].fix


def test_the_command_names_packages_as_pyproject_does_and_not_us() -> None:
    assert install_command("jinja2", "matplotlib") == "pip install 'jinja2>=3.1' 'matplotlib>=3.8'"
    assert install_command("neuromorphic_drivers") == "pip install 'neuromorphic-drivers>=0.18'"
    assert install_command("unheard-of") == "pip install unheard-of"


def test_lava_needs_the_shim_and_the_doctor_says_so() -> None:
    rows = {row.name: row for row in environment.examine()}
    if rows["lava-dl"].status == "ok" and sys.version_info >= (3, 11):
        assert "lava_shim.import_lava()" in rows["lava-dl"].found


def test_files_have_the_permissions_of_new_files_or_of_what_they_replace(tmp_path: Path) -> None:
    plain, ours = tmp_path / "plain", tmp_path / "ours.safetensors"
    plain.touch()
    write_tensors(ours, {"a": np.zeros(1)}, {})
    assert ours.stat().st_mode == plain.stat().st_mode
    ours.chmod(0o640)
    write_tensors(ours, {"a": np.ones(1)}, {})
    assert ours.stat().st_mode & 0o777 == 0o640
