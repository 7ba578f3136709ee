"""Recordings are judged as a camera sent them: in their own order and at their own times; a bundle knows its step."""

import json
from pathlib import Path

import numpy as np
import pytest
from event_strategies import random_events
from tiny_programs import tiny_program

from i2e_deploy import bundle
from i2e_deploy import network as nw
from i2e_deploy.chips import Injection, get
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.events.files import write_events
from i2e_deploy.events.frames import FrameSpec, frames_reference, seen_events
from i2e_deploy.runtime import Samples, evaluate, read_samples

PROGRAM = tiny_program(classes=4)
rng = np.random.default_rng(1)
NETWORK = nw.chain(
    PROGRAM.input_shape,
    {
        "conv": nw.Conv2d(rng.normal(0.1, 0.3, (3, 2, 3, 3)).astype(np.float32), padding=(1, 1)),
        "n": nw.IntegrateAndFire(),
        "flat": nw.Flatten(),
        "last": nw.Linear(rng.normal(0.1, 0.2, (4, 3 * 64)).astype(np.float32)),
        "out": nw.IntegrateAndFire(),
    },
)
SIDE = 2 * PROGRAM.input_shape[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six recordings of two classes, from a sensor twice as wide as the network."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            events = random_events(1500, SIDE, SIDE, seed=10 * label + i)
            write_events(tmp_path / "data" / name / f"{i}.csv", events, (SIDE, SIDE))
    return tmp_path / "data"


def samples_of(folder: Path) -> Samples:
    return read_samples(folder, PROGRAM.input_shape, 4)


@pytest.mark.parametrize("channels", [1, 2])
def test_events_that_are_seen_are_those_that_are_counted(channels: int) -> None:
    events = random_events(400, 30, 20, seed=3)
    spec = FrameSpec((30, 20), (channels, 7, 5), crop=(3, 2, 20, 15))
    seen = seen_events(events, spec)
    counted = frames_reference(events, np.array([[0, len(events)]]), spec)[0]
    again = np.zeros(counted.shape, np.int64)
    np.add.at(again, (seen["p"].astype(int), seen["y"].astype(int), seen["x"].astype(int)), 1)
    np.testing.assert_array_equal(again, counted)
    assert (np.diff(seen["t"]) >= 0).all()


def test_recordings_run_in_their_own_order(folder: Path) -> None:
    samples = samples_of(folder)
    result = evaluate(
        PROGRAM, samples.frames, samples.labels, ["simulator", "reference"], "event", recordings=samples.recordings
    )
    own = []
    for events in samples.recordings:
        step_us = int(events["t"][-1]) // 4 + 1
        own.append(int(PROGRAM.run_events(events, options=Injection(step_us=step_us)).decisions()[0]))
    assert result.results[0].decisions.tolist() == own
    assert result.agreements[0].exact
    assert "as recorded" in str(result)
    spread = evaluate(PROGRAM, samples.frames, samples.labels, semantics="event")
    steps = evaluate(PROGRAM, samples.frames, samples.labels, recordings=samples.recordings)
    assert spread.order.startswith("spread")
    assert not steps.order
    spikes = [r.results[0].activity["conv"]["spikes"] for r in (result, spread)]
    assert spikes[0] != spikes[1]  # the order matters, so it is said


def test_the_float_network_stands_beside_them(folder: Path) -> None:
    samples, program = samples_of(folder), get("speck2f").lower(NETWORK)
    targets = ["simulator", "float"]
    result = evaluate(
        program, samples.frames, None, targets, "event", network=NETWORK, recordings=samples.recordings
    )  # fmt: skip
    found = result.agreements[0].layers
    assert {"conv", "output"} <= set(found)
    assert all(np.isfinite(parting.largest) for parting in found.values())
    alone = evaluate(program, samples.frames, None, ["float"], network=NETWORK)
    assert result.results[1].decisions.tolist() == alone.results[0].decisions.tolist()


def test_the_step_is_that_of_the_recordings(folder: Path) -> None:
    samples = samples_of(folder)
    lasting = [int(events["t"][-1]) for events in samples.recordings]
    assert samples.step_us == round(float(np.median(lasting)) / 4)


def test_what_does_not_go_together_is_refused(folder: Path) -> None:
    samples = samples_of(folder)
    with pytest.raises(InputError, match="5 recordings of 6 samples"):
        evaluate(PROGRAM, samples.frames, None, semantics="event", recordings=samples.recordings[1:])
    empty = (samples.recordings[0][:0], *samples.recordings[1:])
    with pytest.raises(InputError, match="recording 0 has no event"):
        evaluate(PROGRAM, samples.frames, None, semantics="event", recordings=empty)


def test_a_bundle_knows_its_step(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.random.default_rng(0).integers(0, 2, (2, 4, *PROGRAM.input_shape))
    path = tmp_path / "bundle"
    made = bundle.write(path, get("speck2f"), NETWORK, frames, step_us=2500)
    assert made.step_us == 2500
    np.savez(tmp_path / "f.npz", frames=frames, labels=np.zeros(2, np.int64))

    def told(*more: str) -> float:
        assert run(["evaluate", str(path), *more, "--no-keep", "--json", "--semantics", "event"]) == 0
        return float(json.loads(capsys.readouterr().out)["sample_seconds"])

    assert told(str(tmp_path / "f.npz")) == pytest.approx(4 * 2500e-6)
    assert told(str(tmp_path / "f.npz"), "--step-us", "700") == pytest.approx(4 * 700e-6)
    np.savez(tmp_path / "g.npz", frames=frames, labels=np.zeros(2, np.int64), step_us=300)
    assert told(str(tmp_path / "g.npz")) == pytest.approx(4 * 300e-6)
    step_us = samples_of(folder).step_us
    assert step_us is not None
    assert told(str(folder), "--steps", "4") == pytest.approx(4 * step_us * 1e-6)


def test_the_order_is_chosen_and_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bundle"
    frames = np.random.default_rng(0).integers(0, 2, (2, 4, *PROGRAM.input_shape))
    bundle.write(path, get("speck2f"), NETWORK, frames)

    def said(*more: str) -> str:
        assert run(["evaluate", str(path), str(folder), "--steps", "4", "--no-keep", "--json", *more]) == 0
        return str(json.loads(capsys.readouterr().out)["order"])

    assert said("--semantics", "event") == said("--semantics", "event", "--order", "recorded") == "as recorded"
    assert said("--semantics", "event", "--order", "raster") == "raster, in the steps of frames"
    assert said() == ""
    assert run(["evaluate", str(path), str(folder), "--order", "spread"]) == 2
    assert "time steps have no order" in capsys.readouterr().err
    np.savez(tmp_path / "f.npz", frames=frames, labels=np.zeros(2, np.int64))
    assert run(["evaluate", str(path), str(tmp_path / "f.npz"), "--semantics", "event", "--order", "recorded"]) == 2
    assert "these samples are frames" in capsys.readouterr().err
