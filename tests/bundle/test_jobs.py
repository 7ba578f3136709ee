"""`export --job`: a script that needs the vendor's packages alone; and what comes back, which nobody vouches for."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy import bundle
from i2e_deploy import network as nw
from i2e_deploy.bundle import job as jobs
from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError

Captured = pytest.CaptureFixture[str]
STAND_IN = Path(__file__).parents[1] / "support" / "samna_alone" / "chip.py"
#: Runs run.py with Python's own library and the stand-in alone, then says what else was imported.
ALONE = """
import runpy, sys
sys.path.append({standin!r})
sys.argv = ["run.py", *{arguments!r}]
runpy.run_path({script!r}, run_name="__main__")
strangers = {{name.partition(".")[0] for name in sys.modules}} & {{"i2e_deploy", "numpy", "torch", "sinabs"}}
print("strangers", sorted(strangers))
"""


def network(seed: int, first_stride: int = 1) -> nw.Network:
    rng = np.random.default_rng(seed)
    side = 8 // first_stride
    return nw.chain(
        (2, 8, 8),
        {
            "conv": nw.Conv2d(
                rng.normal(0.1, 0.3, (3, 2, 3, 3)).astype(np.float32), padding=(1, 1), stride=(first_stride,) * 2
            ),
            "n": nw.IntegrateAndFire(min_v=-1.0),
            "pool": nw.Pool2d((2, 2)),
            "flat": nw.Flatten(),
            "last": nw.Linear(rng.normal(0.05, 0.3, (4, 3 * (side // 2) ** 2)).astype(np.float32)),
            "out": nw.IntegrateAndFire(min_v=-1.0),
        },
    )


def written(folder: Path, given: Any, seed: int = 0, **options: Any) -> bundle.Bundle:
    return bundle.write(folder / "b", get("speck2f"), network(seed), given, **options)


def unpacked(made: bundle.Bundle, folder: Path) -> Path:
    jobs.write_job(made, folder / "job.zip")
    with zipfile.ZipFile(folder / "job.zip") as archive:
        archive.extractall(folder / "job")
    return folder / "job"


def run_alone(job: Path, *arguments: str, boards: str = "('Speck2fDevKit',)", refuses: str = "") -> Any:
    """As on a machine without this project: no site-packages, and a samna that looks like the real one."""
    package = job.parent / "standin" / "samna"
    package.mkdir(parents=True, exist_ok=True)
    (package / "library.so").touch()
    last = f"\nimport sys\ninstall(sys.modules, {boards}, {refuses!r})\n"
    (package / "__init__.py").write_text(STAND_IN.read_text() + last)
    code = ALONE.format(standin=str(package.parent), script=str(job / "run.py"), arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-B", "-I", "-S", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["frames", "recording", "steps"])
def test_what_comes_back_is_what_we_compute(kind: str, seed: int, tmp_path: Path) -> None:
    """The stand-in computes by the documentation, in Python's own library: every spike equals the simulator's."""
    frames = np.random.default_rng(seed).integers(0, 2, (3, 4, 2, 8, 8))
    given = random_events(300, 8, 8, seed=seed) if kind == "recording" else frames
    made = written(tmp_path, given, seed, semantics="timestep" if kind == "steps" else "event", step_us=2000)
    done = run_alone(unpacked(made, tmp_path))
    assert done.returncode == 0, done.stderr
    assert "strangers []" in done.stdout
    for line in (line for line in done.stdout.splitlines() if "expected" in line):
        found, _, expected = line.partition(": ")[2].partition(" spikes, expected ")
        assert found == expected
    result = jobs.evaluate_results(made, [str(tmp_path / "job" / "results.zip")])
    board = result.results[1]
    assert result.results[0].target == "simulator"
    assert result.semantics == "event"
    np.testing.assert_array_equal(board.decisions, result.results[0].decisions)
    assert result.agreements[0].exact
    assert board.unseen == ("conv",)
    assert board.activity["last"]["spikes"] == result.results[0].activity["last"]["spikes"] > 0


def test_states_that_it_starts_from_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layers = {
        "conv": nw.Conv2d(rng.normal(0.1, 0.3, (3, 2, 3, 3)).astype(np.float32), padding=(1, 1)),
        "n": nw.IntegrateAndFire(min_v=-1.0, start=rng.uniform(-0.5, 0.9, (3, 8, 8)).astype(np.float32)),
    }
    frames = rng.integers(0, 2, (2, 3, 2, 8, 8))
    made = bundle.write(tmp_path / "b", get("speck2f"), nw.chain((2, 8, 8), layers), frames, semantics="event")
    done = run_alone(unpacked(made, tmp_path))
    assert done.returncode == 0, done.stderr
    assert jobs.evaluate_results(made, [str(tmp_path / "job" / "results.zip")]).agreements[0].exact


def test_a_board_that_does_other_things_is_told(tmp_path: Path, capsys: Captured) -> None:
    made = written(tmp_path, np.random.default_rng(1).integers(0, 2, (2, 4, 2, 8, 8)), semantics="event")
    job = unpacked(made, tmp_path)
    config = json.loads((job / "config.json").read_text())
    for core in config["cnn_layers"].values():
        core["threshold_high"] += 20
    (job / "config.json").write_text(json.dumps(config))
    assert run_alone(job).returncode == 0
    results = str(job / "results.zip")
    page = tmp_path / "page.html"
    assert run(["evaluate", str(made.path), "--target", results, "--json", "--html", str(page)]) in (0, 1)
    told = json.loads(capsys.readouterr().out)
    (pair,) = told["agreement"]
    assert not pair["exact"]
    assert pair["layers"]["last"]["differing"] > 0
    assert "first difference" in page.read_text()
    assert run(["evaluate", str(made.path), "--target", results, "--min-agreement", "0"]) == 0
    assert "first divergence" in capsys.readouterr().out


def test_the_command_writes_a_job(tmp_path: Path, capsys: Captured) -> None:
    nw.write(network(0), tmp_path / "net.safetensors")
    command = ["export", str(tmp_path / "net.safetensors"), "--chip", "speck2f", "--out", str(tmp_path / "b")]
    for bad, text in ((tmp_path / "job", "a job is a .zip file"), (tmp_path / "none" / "job.zip", "no such folder")):
        assert run([*command, "--job", str(bad)]) == 2
        assert text in capsys.readouterr().err
        assert not (tmp_path / "b").exists()
    assert run([*command, "--job", str(tmp_path / "job.zip")]) == 0
    assert "unpack it on a machine with samna 0.46 and a Speck2f board" in " ".join(capsys.readouterr().err.split())
    with zipfile.ZipFile(tmp_path / "job.zip") as archive:
        assert set(archive.namelist()) == {"run.py", "job.json", "config.json", "events.bin"}
    first = (tmp_path / "job.zip").read_bytes()
    jobs.write_job(bundle.read(tmp_path / "b"), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == first
    assert run(["evaluate", str(tmp_path / "b")]) == 2
    assert "give the data to evaluate on" in capsys.readouterr().err
    assert run(["evaluate", str(tmp_path / "b"), "frames.npz", "--target", "results.zip"]) == 2
    assert "leave the data out" in capsys.readouterr().err


def test_a_script_without_a_board_says_so(tmp_path: Path) -> None:
    job = unpacked(written(tmp_path, np.ones((1, 2, 2, 8, 8), np.int64), semantics="event"), tmp_path)
    for boards, arguments in (("('Davis346',)", []), ("('Speck2eDevKit',)", []), ("('Speck2fDevKit',)", ["Other"])):
        done = run_alone(job, *arguments, boards=boards)
        assert done.returncode == 1
        assert done.stderr.startswith("no free board")
        assert boards.strip("'(),") in done.stderr
    done = run_alone(job, refuses="too large")
    assert (done.returncode, done.stderr) == (1, "samna refuses the configuration: too large\n")
    (job.parent / "standin" / "samna" / "library.so").unlink()  # then it is the installer of that name
    code = ALONE.format(standin=str(job.parent / "standin"), script=str(job / "run.py"), arguments=[])
    done = subprocess.run([sys.executable, "-B", "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert "samna is not installed, or is the installer" in done.stderr
    assert not (job / "results.zip").exists()


def test_chips_without_a_script_say_so(tmp_path: Path) -> None:
    made = bundle.write(tmp_path / "b", get("dynapcnn"), network(0), np.ones((1, 2, 2, 8, 8), np.int64))
    with pytest.raises(UnsupportedError, match="jobs are for boards of speck2e and speck2f"):
        jobs.write_job(made, tmp_path / "job.zip")
    assert not (tmp_path / "job.zip").exists()


@pytest.fixture
def made(tmp_path: Path) -> bundle.Bundle:
    return written(tmp_path, np.ones((2, 3, 2, 8, 8), np.int64), semantics="event")


def results(made: bundle.Bundle, rows: Any = ((0, 20_500, 1, 2, 0, 0),), **changes: Any) -> Path:
    data = np.array(rows, "<i8").reshape(-1, 6)
    about = {
        "format": "i2e-deploy-results", "format_version": 1, "job": jobs.job_name(made), "machine": "a board",
        "incidents": {}, "arrays": {"spikes": list(data.shape)}, **changes,
    }  # fmt: skip
    path = made.path.parent / "results.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("results.json", json.dumps(about))
        archive.writestr("spikes.bin", data.tobytes())
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other"}, {"format_version": 2}, {"arrays": {}}, {"arrays": []}, {"arrays": {"spikes": [2, 6]}},
        {"arrays": {"spikes": [-1, -6]}}, {"arrays": {"spikes": [2**40, 2**40]}}, {"arrays": {"spikes": [6]}},
        {"arrays": {"spikes": ["1", 6]}}, {"arrays": {"spikes": [1.0, 6]}}, {"arrays": {"spikes": None}},
        {"arrays": {"../../x": [0]}}, {"arrays": {f"a{i}": [0] for i in range(300)}}, {"incidents": {"late": "x"}},
        {"incidents": 3}, {"rows": ((7, 0, 1, 0, 0, 0),)}, {"rows": ((-1, 0, 1, 0, 0, 0),)},
        {"rows": ((0, 2**40, 1, 0, 0, 0),)},
    ],
)  # fmt: skip
def test_results_that_cannot_be_are_refused_in_one_line(changes: dict[str, Any], made: bundle.Bundle) -> None:
    with pytest.raises(FileFormatError) as caught:
        jobs.evaluate_results(made, [str(results(made, **changes))])
    assert "\n" not in str(caught.value)


def test_results_of_another_job_are_refused(made: bundle.Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is of another job"):
        jobs.evaluate_results(made, [str(results(made, job="0" * 64))])
    with pytest.raises(InputError, match="no such file"):
        jobs.evaluate_results(made, [str(tmp_path / "none.zip")])
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(FileFormatError, match="does not hold the results of a job"):
        jobs.evaluate_results(made, [str(tmp_path / "no.zip")])


def test_a_bomb_is_not_unpacked(made: bundle.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes are bounded by what is stated before anything is read, and by what is read where they are false."""
    path = made.path.parent / "bomb.zip"
    about = json.loads(zipfile.ZipFile(results(made)).read("results.json"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.json", json.dumps(about | {"arrays": {"spikes": [1000, 6]}}))
        archive.writestr("spikes.bin", bytes(48_000))
    monkeypatch.setattr(jobs, "MAX_BYTES", 47_999)
    with pytest.raises(FileFormatError, match="it claims 48000 bytes: at most 47999 are read"):
        jobs.evaluate_results(made, [str(path)])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.json", json.dumps(about) + " " * 2**20)
    with pytest.raises(FileFormatError, match=r"no results.json of at most"):
        jobs.evaluate_results(made, [str(path)])


def test_spikes_of_other_cores_and_places_are_counted_as_incidents(made: bundle.Bundle) -> None:
    core = made.cores["last"]  # type: ignore[index]
    rows = [(0, 20_000, core, 1, 0, 0), (1, 20_000, core, 9, 0, 0), (0, 20_000, 8 - core, 0, 0, 0)]
    result = jobs.evaluate_results(made, [str(results(made, rows, incidents={"late": 3}))])
    board = result.results[1]
    assert board.incidents == {"late": 3, "spikes with an address that their layer does not have": 1}
    assert board.activity["last"]["spikes"] == 1
