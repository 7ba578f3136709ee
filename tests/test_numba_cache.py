"""A user who can write neither the package nor a home gets a cache that nobody else can touch."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numba
import pytest
from board_bundle import write_small_bundle

from i2e_deploy import environment, numba_cache

ROOT = Path(__file__).parent.parent
NOBODY = 65534


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A process that can write its temporary folder alone: where its cache is then."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # what `decide` sets goes with the test
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(numba_cache, "is_writable", lambda folder: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"i2e_deploy-numba-{os.getuid()}"


def test_the_temporary_folder_is_closed_to_others_and_found_again(nowhere: Path) -> None:
    assert numba_cache.decide() == str(nowhere)
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR == str(nowhere)  # type: ignore[attr-defined]
    assert stat.S_IMODE(nowhere.stat().st_mode) == 0o700
    (nowhere / "kernel.nbi").touch()
    assert numba_cache.decide() == str(nowhere)
    assert (nowhere / "kernel.nbi").exists()


@pytest.mark.parametrize("trap", ["link", "open", "file", "another's"])
def test_a_trap_in_the_shared_folder_is_left_alone(nowhere: Path, trap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if trap == "link":
        (nowhere.parent / "theirs").mkdir(mode=0o700)
        nowhere.symlink_to(nowhere.parent / "theirs")
    elif trap == "file":
        nowhere.touch(mode=0o700)
    else:
        nowhere.mkdir(mode=0o700)
        nowhere.chmod(0o707 if trap == "open" else 0o700)
    if trap == "another's":
        other = os.getuid() + 1
        nowhere.rename(nowhere.with_name(f"i2e_deploy-numba-{other}"))
        monkeypatch.setattr(os, "getuid", lambda: other)
    chosen = numba_cache.decide()
    assert chosen is not None
    assert chosen != str(nowhere.with_name(f"i2e_deploy-numba-{os.getuid()}"))
    assert Path(chosen).parent == nowhere.parent
    assert stat.S_IMODE(os.stat(chosen).st_mode) == 0o700
    assert not list(Path(chosen).iterdir())


@pytest.mark.parametrize("place", ["wanted", "home", "package"])
def test_numba_chooses_where_it_can(nowhere: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = str(nowhere.parent / "wanted")
    monkeypatch.setenv("NUMBA_CACHE_DIR", wanted)
    can = {"wanted": wanted, "home": numba_cache.user_cache(), "package": numba_cache.PACKAGE}[place]
    monkeypatch.setattr(numba_cache, "is_writable", lambda folder: folder.startswith(can))
    assert numba_cache.decide() is None
    assert os.environ["NUMBA_CACHE_DIR"] == wanted
    assert not nowhere.exists()


def test_nothing_is_decided_where_nothing_can_be_written(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    assert numba_cache.decide() is None
    row = {row.name: row for row in environment.examine()}["numba cache"]
    assert row.status == "bad"
    assert row.fix == "export NUMBA_CACHE_DIR=FOLDER"


def test_the_doctor_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def row() -> environment.Row:
        return {row.name: row for row in environment.examine()}["numba cache"]

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert row() == environment.Row("numba cache", "ok", f"{tmp_path}, writable (NUMBA_CACHE_DIR)")
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    assert (row().status, row().found) == ("bad", f"{tmp_path / 'file'} cannot be written")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(numba_cache, "source_is_writable", lambda: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert row().found == f"{tmp_path}/numba, writable (of this user)"
    monkeypatch.setattr(numba_cache, "TEMPORARY", "/tmp/mine")
    assert row().found.startswith("/tmp/mine, writable; temporary")


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that every user can reach, with a copy of the package that none can write, and a bundle."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for package in ("i2e_deploy", "hardware_profiles"):
        shutil.copytree(ROOT / package, folder / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
    write_small_bundle(folder)
    for path in (folder / "source").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in (folder / "bundle", *(folder / "bundle").iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    yield folder
    for path in (folder / "source").rglob("*"):
        path.chmod(0o700)
    shutil.rmtree(folder)


def interpreter_for_all() -> str | None:
    """A Python of this version that other users may run, and that finds what is installed here."""
    site = Path(str(find_spec("numpy").origin)).parents[1]  # type: ignore[union-attr]
    here, system = Path(sys.executable).resolve(), Path(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}")
    for python in (here, system):
        reachable = [python, *python.parents, site, *site.parents]
        if python.exists() and all(path.stat().st_mode & 0o005 == 0o005 for path in reachable):
            return str(python)
    return None


@pytest.mark.slow
def test_a_user_without_a_home_verifies_and_the_next_run_is_warm(read_only: Path) -> None:
    python = interpreter_for_all() if os.getuid() == 0 else sys.executable
    if python is None:
        pytest.skip("other users cannot run this Python, nor is there one of its version in /usr/bin")
    user = NOBODY if os.getuid() == 0 else os.getuid()
    site = str(Path(str(find_spec("numpy").origin)).parents[1])  # type: ignore[union-attr]
    environ = {
        "HOME": "/nonexistent", "TMPDIR": str(read_only / "tmp"), "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(read_only / "source"), site]),
    }  # fmt: skip

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, "-c", "from i2e_deploy.cli import main; main()", *arguments],
            env=environ, cwd="/", capture_output=True, text=True, user=user if user == NOBODY else None, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(run("verify", str(read_only / "bundle"), "--json"))["exact"] is True
    folder = read_only / "tmp" / f"i2e_deploy-numba-{user}"
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (user, 0o700)
    kernels = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}
    assert kernels
    run("verify", str(read_only / "bundle"))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")} == kernels
    row = next(row for row in json.loads(run("doctor", "--json")) if row["name"] == "numba cache")
    assert row["status"] == "ok"
    assert row["found"].startswith(str(folder))
