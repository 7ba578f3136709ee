"""Golden vectors of a recording in its own order and at its own times, and of steps that the bundle knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from tiny_programs import tiny_program

from i2e_deploy import bundle
from i2e_deploy import network as nw
from i2e_deploy.bundle.bundle import GOLDEN, MANIFEST
from i2e_deploy.bundle.golden import golden_tensors, make_golden, read_golden
from i2e_deploy.chips import Injection, get
from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.files import write_events
from i2e_deploy.files import write_tensors
from i2e_deploy.network.file import STEP_US

Captured = pytest.CaptureFixture[str]
RNG = np.random.default_rng(1)
NETWORK = nw.chain(
    (2, 8, 8),
    {
        "conv": nw.Conv2d(RNG.normal(0.1, 0.3, (3, 2, 3, 3)).astype(np.float32), padding=(1, 1)),
        "n": nw.IntegrateAndFire(min_v=-1.0),
        "flat": nw.Flatten(),
        "last": nw.Linear(RNG.normal(0.05, 0.2, (4, 192)).astype(np.float32)),
        "out": nw.IntegrateAndFire(min_v=-1.0),
    },
)


def recording(seed: int = 0, count: int = 400, side: int = 8) -> Events:
    events = random_events(count, side, side, seed=seed)
    events["t"] += 12_345  # clocks of cameras do not begin at 0
    return events


@pytest.mark.parametrize("seed", range(4))
def test_it_runs_in_its_own_order_and_at_its_own_times(seed: int) -> None:
    program, events, injection = tiny_program(seed=seed), recording(seed), Injection(step_us=500)
    golden = make_golden(program, events, semantics="event", injection=injection)
    assert golden.recording is not None
    own = events.copy()
    own["t"] -= own["t"][0]
    np.testing.assert_array_equal(golden.recording, own)
    np.testing.assert_array_equal(golden.inputs, program.in_steps(events, 500))
    trace = program.run_events(events, options=injection)
    for name, array in {**trace.arrays(state=True, binned=True), "output": trace.output}.items():
        np.testing.assert_array_equal(golden.expected[name], array)
    spread = program.run(golden.inputs, "event", options=injection)
    assert any((spread.arrays(binned=True)[name] != golden.expected[name]).any() for name in ("layer0", "layer1"))


@pytest.mark.parametrize("target", ["simulator", "reference", "board"])
def test_verify_runs_it_again_exactly(target: str, tmp_path: Path) -> None:
    written = bundle.write(tmp_path / "b", get("speck2f"), NETWORK, recording(), semantics="event", step_us=700)
    assert (written.step_us, written.golden.injection) == (700, Injection(step_us=700))
    assert written.golden.recording is not None
    with fake_samna():
        result = bundle.verify(written, target)
    assert result.exact
    assert result.semantics == "event"
    assert result.values >= written.golden.expected["output"].size > 0
    assert result.silent == ()
    assert "a recording of 400 events" in repr(written.golden)


def test_a_change_of_order_is_found(tmp_path: Path) -> None:
    written = bundle.write(tmp_path / "b", get("speck2f"), NETWORK, recording(), semantics="event", step_us=700)
    tensors = golden_tensors(written.golden)
    for field in "xyp":
        tensors[f"recording.{field}"] = tensors[f"recording.{field}"][::-1].copy()
    write_tensors(written.path / GOLDEN, tensors, {})
    changed = read_golden(written.path / GOLDEN, 2, written.manifest["golden"])
    other = bundle.Bundle(written.path, written.chip, written.program, NETWORK, changed, written.manifest)
    assert not bundle.verify(other).exact


def test_in_time_steps_it_is_counted(tmp_path: Path) -> None:
    written = bundle.write(tmp_path / "b", get("speck2f"), NETWORK, recording(), step_us=700)
    assert written.golden.recording is None
    assert written.manifest["format_version"] == 1
    assert "golden" not in written.manifest
    np.testing.assert_array_equal(written.golden.inputs, written.program.in_steps(recording(), 700))
    assert bundle.verify(written).exact
    with pytest.raises(InputError, match="the golden input is a recording: say how long a step lasts"):
        bundle.write(tmp_path / "c", get("speck2f"), NETWORK, recording())


@pytest.mark.parametrize(("step_us", "version"), [(None, 1), (1000, 1), (300, 2)])
def test_frames_as_events_keep_their_step(tmp_path: Path, step_us: int | None, version: int) -> None:
    frames = np.random.default_rng(0).integers(0, 3, (2, 5, 2, 8, 8))
    written = bundle.write(tmp_path / "b", get("speck2f"), NETWORK, frames, semantics="event", step_us=step_us)
    assert written.manifest["format_version"] == version
    assert written.golden.injection.step_us == (step_us or 1000)
    assert bundle.verify(written).exact


def damaged_column(field: str, change: Any) -> Any:
    def damage(tensors: dict[str, Any], about: dict[str, Any]) -> None:
        tensors[f"recording.{field}"] = change(tensors[f"recording.{field}"].astype(np.int64))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors, about: tensors.pop("recording.t"),
        lambda tensors, about: tensors.update(input=tensors["input"][:, :-1]),
        lambda tensors, about: about.pop("injection"),
        lambda tensors, about: about["injection"].update(order="none"),
        lambda tensors, about: about["injection"].update(step_us=0),
        lambda tensors, about: about["injection"].update(step_us=True),
        lambda tensors, about: about["injection"].update(step_us="700"),
        lambda tensors, about: about.update(recording=1),
        lambda tensors, about: about.update(injection=[]),
        damaged_column("x", lambda column: column[1:]),
        damaged_column("x", lambda column: column - 100),
        damaged_column("y", lambda column: column + 2**16),
        damaged_column("p", lambda column: column + 2),
        damaged_column("t", lambda column: column[::-1].copy()),
        damaged_column("t", lambda column: column * 10**6),
        damaged_column("t", lambda column: column[:, None]),
    ],
)
def test_a_damaged_recording_is_one_clear_error(damage: Any, tmp_path: Path) -> None:
    golden = make_golden(tiny_program(), recording(), semantics="event", injection=Injection(step_us=700))
    tensors, about = golden_tensors(golden), json.loads(json.dumps(golden.about()))
    damage(tensors, about)
    write_tensors(tmp_path / GOLDEN, tensors, {})
    with pytest.raises(FileFormatError) as caught:
        read_golden(tmp_path / GOLDEN, 2, about)
    assert "\n" not in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network that says its step, one that does not, and a recording of a sensor twice as wide."""
    nw.write(NETWORK, tmp_path / "net.safetensors")
    nw.write(NETWORK, tmp_path / "trained.safetensors", {STEP_US: "2500"})
    write_events(tmp_path / "rec.csv", recording(count=600, side=16), (16, 16))
    return tmp_path


def export(folder: Path, out: str, *more: str, model: str = "net.safetensors") -> bundle.Bundle:
    command = ["export", str(folder / model), "--chip", "speck2f", "--out", str(folder / out), *more]
    assert run(command) == 0
    return bundle.read(folder / out)


def test_the_command_takes_a_recording(folder: Path, capsys: Captured) -> None:
    rec = ["--input", str(folder / "rec.csv")]
    made = export(folder, "a", *rec, "--semantics", "event", "--step-us", "400", "--golden-events", "250")
    assert "golden vectors are of the first 250 of 600 events" in capsys.readouterr().err
    assert made.golden.recording is not None
    assert (len(made.golden.recording), made.golden.recording["x"].max(), made.step_us) == (250, 7, 400)
    assert run(["verify", str(made.path)]) == 0
    assert "semantics event" in capsys.readouterr().out
    counted = export(folder, "b", *rec)
    assert "a step of the recording is taken as 1 ms" in capsys.readouterr().err
    assert (counted.golden.recording, counted.step_us) == (None, 1000)
    assert counted.golden.inputs.sum() == 600
    assert (
        run(["export", str(folder / "net.safetensors"), "--chip", "speck2f", "--out", str(folder / "c"), "--sort"]) == 2
    )
    assert "--sort is for recordings: there is no --input" in capsys.readouterr().err
    assert not (folder / "c").exists()


def test_the_step_of_a_network_is_that_of_its_bundle_and_of_every_command(folder: Path, capsys: Captured) -> None:
    made = export(folder, "a", model="trained.safetensors")
    assert made.step_us == 2500
    assert export(folder, "b", "--step-us", "100", model="trained.safetensors").step_us == 100
    assert export(folder, "c", model="a").step_us == 2500
    np.save(folder / "frames.npy", made.golden.inputs)
    np.savez(folder / "frames.npz", frames=made.golden.inputs)
    inputs = ["--input", str(folder / "frames.npy")]
    for model in ("trained.safetensors", "a"):
        capsys.readouterr()
        assert run(["check", str(folder / model), "--chip", "speck2f", *inputs, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["estimate"]["seconds"] == pytest.approx(8 * 2.5e-3)
        simulate = ["simulate", str(folder / model), "--chip", "speck2f", *inputs, "--semantics", "event", "--json"]
        assert run([*simulate, "--out", str(folder / "trace.npz")]) == 0
        assert json.loads(capsys.readouterr().out)["estimate"]["seconds"] == pytest.approx(8 * 2.5e-3)
        assert run(["evaluate", str(folder / model), str(folder / "frames.npz"), "--no-keep", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sample_seconds"] == pytest.approx(8 * 2.5e-3)


@pytest.mark.parametrize("text", ["", "0", "-5", "1e3", "9" * 40, "x"])
def test_a_note_that_is_no_step_is_none(folder: Path, text: str) -> None:
    nw.write(NETWORK, folder / "odd.safetensors", {STEP_US: text})
    assert export(folder, "a", model="odd.safetensors").step_us is None


def test_a_load_that_nobody_asked_for_is_no_red_beside_a_green_yes(folder: Path) -> None:
    """Random events in steps of 1 us are more than any core can do; the page says what they are."""
    drawn = (export(folder, "a", "--step-us", "1").path / "report.html").read_text()
    assert "more work than a core can do on random events, which say little of the use" in drawn
    assert 'class="error"' not in drawn
    np.save(folder / "frames.npy", np.full((1, 8, 2, 8, 8), 9))
    own = export(folder, "b", "--input", str(folder / "frames.npy"), "--step-us", "1")
    page = (own.path / "report.html").read_text()
    assert '<p class="warning">Yes: every layer passes every rule and has its place; but ' in page
    assert 'class="error"' in page
    manifest = json.loads((own.path / MANIFEST).read_text())
    assert manifest["check"]["fits"]
