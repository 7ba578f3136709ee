"""The wheel holds both packages and works where nothing else of the project is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_packages_profiles_template_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"hardware_profiles/speck2f.toml", "i2e_deploy/cli/app.py", "i2e_deploy/reporting/report.html.j2"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "examples/", "benchmarks/")) for name in names)


def test_the_sdist_holds_all_that_is_tracked(tmp_path: Path) -> None:
    """What a distributor needs to build, test and document: all but the configuration of our own CI."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone: there is no list of what belongs to the project")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    assert {name for name in tracked if not name.startswith(".ci/")} <= names
    assert not any(name.startswith((".ci/", "build/", "dist/")) for name in names)


#: Packages whose import has another name than the distribution, or that come with one.
DISTRIBUTION = {"PIL": "pillow", "lava": "lava-nc", "rerun": "rerun-sdk", "starlette": "fastapi", "triton": "torch"}


def test_every_import_of_the_package_is_a_declared_dependency(wheel: Path) -> None:
    """What modules import when they are imported is a core dependency or stands in an extra."""
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    lines = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist: ")]
    declared = {re.split(r"[<>=!~\[; ]", line.removeprefix("Requires-Dist: "))[0].lower() for line in lines}
    # Python 3.10 lacks tomllib and takes tomli for it: whichever the interpreter has not is no missing dependency
    own = {*sys.stdlib_module_names, "i2e_deploy", "hardware_profiles", "tomli", "tomllib"}
    imported: set[str] = set()
    for name in archive.namelist():
        if name.endswith(".py"):
            for node in ast.walk(ast.parse(archive.read(name))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
    needed = {DISTRIBUTION.get(name, name.replace("_", "-")) for name in imported - own}
    assert {"numpy", "torch", "typer"} <= needed
    assert needed <= declared


@pytest.mark.slow
def test_doctor_and_profiles_work_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Only what these two commands need is installed: without torch, the doctor is what tells you so."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "-c",
        str(ROOT / "constraints.txt"),
    ]
    light = ["numpy", "rich", "typer", *(["tomli"] if sys.version_info < (3, 11) else [])]
    subprocess.run([*pip, *light], check=True, capture_output=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True)

    def command(*arguments: str) -> str:
        program = str(tmp_path / "venv" / "bin" / "i2e-deploy")
        result = subprocess.run([program, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert result.stderr == ""
        return result.stdout

    rows = {row["name"]: row for row in json.loads(command("doctor", "--json"))}
    assert rows["torch"]["status"] == "bad"
    assert "pip install" in rows["torch"]["fix"]
    assert "speck2f" in rows["chips"]["found"]
    assert "Speck2f" in command("profiles")
    assert "threshold-low-zero" in command("profiles", "speck2f")
