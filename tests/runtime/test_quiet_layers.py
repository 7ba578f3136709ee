"""Results that say nothing are said: layers in which nothing fires, silent outputs, golden vectors of zeros."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loihi_nets import draw_frames, draw_network
from tiny_programs import tiny_program

from i2e_deploy import network as nw
from i2e_deploy.bundle import read
from i2e_deploy.chips import Deciding, Trace, get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.loihi2 import LoihiProgram
from i2e_deploy.cli.app import run
from i2e_deploy.reporting.html import write_report
from i2e_deploy.runtime import evaluate
from i2e_deploy.runtime.vacuous import not_yet, vacuous

FRAMES = (np.random.default_rng(0).random((4, 5, 2, 8, 8)) < 0.3).astype(np.int32)
OUT_OF_REACH = 30_000


def with_thresholds(*thresholds: int) -> DynapcnnProgram:
    program = tiny_program(bias=False)
    layers = zip(program.layers, thresholds, strict=True)
    return replace(program, layers=tuple(replace(layer, threshold=value) for layer, value in layers))


def by_hand(trace: Trace) -> tuple[str, ...]:
    return tuple(name for name, spikes in trace.spikes.items() if not (np.asarray(spikes) != 0).any())


@pytest.mark.parametrize("semantics", ["timestep", "event"])
@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_layers_without_a_spike_are_named(semantics: str, engine: str) -> None:
    cases = {(100, 300): (), (OUT_OF_REACH, 300): ("conv", "readout"), (100, OUT_OF_REACH): ("readout",)}
    for thresholds, wanted in cases.items():
        trace = with_thresholds(*thresholds).run(FRAMES, semantics, engine)  # type: ignore[arg-type]
        assert trace.quiet_layers() == by_hand(trace) == wanted


def test_they_are_those_of_any_drawn_network() -> None:
    found = set()
    for seed in range(40):
        network = draw_network(seed)
        trace = LoihiProgram(network).run(draw_frames(network, seed, steps=4))
        assert trace.quiet_layers() == by_hand(trace)
        found.add(len(trace.quiet_layers()))
    assert len(found) > 1  # else every network was like every other


def test_messages_that_add_up_to_nothing_are_no_silence() -> None:
    spikes = {"a": np.array([[[1, -1]]]), "b": np.zeros((1, 1, 2), np.int64)}
    assert Trace(spikes, {}, np.ones((1, 1, 2), np.int32), {}).quiet_layers() == ("b",)


def test_an_output_that_is_read_by_its_state_need_not_fire() -> None:
    program = with_thresholds(OUT_OF_REACH, OUT_OF_REACH)
    assert program.run(FRAMES).quiet_layers() == ("conv", "readout")
    assert program.decided_by(Deciding("state")).run(FRAMES).quiet_layers() == ("conv",)
    assert program.decided_by(Deciding("mean")).run(FRAMES).quiet_layers() == ("conv",)


def test_an_evaluation_names_what_is_quiet_on_every_sample() -> None:
    program, frames = with_thresholds(100, OUT_OF_REACH), FRAMES.copy()
    frames[1:] = 0  # every layer is quiet on these, but one fires on the first
    result = evaluate(program, frames, targets=["simulator", "reference"], batch_size=1)
    for target in result.results:
        assert target.quiet == ("readout",)
    assert result.to_dict()["targets"]["simulator"]["quiet"] == ["readout"]
    assert "nothing fires in readout on any sample" in str(result)
    assert evaluate(tiny_program(), FRAMES).results[0].quiet == ()


def test_what_says_nothing_is_a_line_each() -> None:
    assert vacuous(9, 9, 0, 0, ()) == []
    assert vacuous(9, 18, 2, 3, ["a", "b"]) == [
        "no output fired on 2 of 9 samples: class 0 there says nothing",
        "3 of 18 decisions are ties: the lowest class number was taken",
        "nothing fires in a, b on any sample: look at thresholds and scales",
    ]


def test_layers_that_the_frames_end_before_are_told_apart() -> None:
    """A layer that works five steps late has said nothing after five steps, whatever its threshold."""
    assert not_yet(["a", "b", "c"], {"b": 4, "c": 5}, 5) == ("c",)
    assert vacuous(9, 9, 0, 0, ["a", "c"], ["c"]) == [
        "nothing fires in a on any sample: look at thresholds and scales",
        "the frames end before c can fire: add empty steps to see what they do",
    ]
    layers = {
        "a": nw.Linear(np.ones((4, 2), np.float32)), "m": nw.IntegrateAndFire(1.0),
        "b": nw.Linear(np.ones((3, 4), np.float32)), "n": nw.IntegrateAndFire(1.0),
    }  # fmt: skip
    program, frames = get("loihi2").lower(nw.chain((2,), layers)), np.ones((1, 1, 2), np.uint8)
    found = evaluate(program, frames, targets=["simulator"]).results[0]
    assert program.latencies["b"] == 2  # two synapses; the frames have one step
    assert "b" in found.late
    assert "the frames end before" in " ".join(found.remarks)


@pytest.fixture
def mute(tmp_path: Path) -> Path:
    """A network whose second layer cannot reach its threshold."""
    rng = np.random.default_rng(0)
    layers = {
        "conv": nw.Conv2d(rng.normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32), stride=(2, 2)),
        "n": nw.IntegrateAndFire(1.0, -1.0),
        "flat": nw.Flatten(),
        "last": nw.Linear(np.full((4, 27), 0.001, np.float32)),
        "out": nw.IntegrateAndFire(50.0, -1.0),
    }
    nw.write(nw.chain((2, 8, 8), layers), tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", FRAMES)
    np.savez(tmp_path / "frames.npz", frames=FRAMES)
    return tmp_path / "net.safetensors"


def test_the_commands_say_it(mute: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = mute.parent
    simulate = ["simulate", str(mute), "--chip", "speck2f", "--input", str(folder / "frames.npy")]
    simulate += ["--out", str(folder / "trace.npz")]
    assert run(simulate) == 0
    told = capsys.readouterr().out
    assert "nothing fires in last on any sample" in told
    assert "no output fired on 4 of 4 samples" in told
    assert run([*simulate, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["quiet"], data["silent"], data["ties"]) == (["last"], 4, 4)
    page = folder / "page.html"
    assert run(["evaluate", str(mute), str(folder / "frames.npz"), "--html", str(page)]) == 0
    assert "nothing fires in last on any sample" in capsys.readouterr().out
    assert "nothing fires in last on any sample" in page.read_text()


def test_golden_vectors_of_a_silent_layer_are_said(mute: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = mute.parent / "bundle"
    assert run(["export", str(mute), "--chip", "speck2f", "--out", str(folder), "--json"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["silent"] == ["last", "output"]
    assert "nothing fires in last, output on the golden inputs" in found.err
    assert run(["verify", str(folder)]) == 0
    assert "nothing fires in last, output" in capsys.readouterr().out
    assert "Nothing fires in last, output on these inputs" in write_report(read(folder)).read_text()


def test_golden_inputs_of_a_deep_network_go_on_until_its_last_layer_has_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nine synapses: with the eight drawn steps alone the last layer would have done nothing."""
    layers: dict[str, nw.Op] = {}
    for number in range(9):
        layers |= {f"w{number}": nw.Linear(np.ones((2, 2), np.float32)), f"n{number}": nw.IntegrateAndFire(0.5)}
    nw.write(nw.chain((2,), layers), tmp_path / "deep.safetensors")
    np.save(tmp_path / "ones.npy", np.ones((1, 8, 2), np.uint8))
    command = ["export", str(tmp_path / "deep.safetensors"), "--chip", "loihi2", "--out", str(tmp_path / "bundle")]
    assert run([*command, "--input", str(tmp_path / "ones.npy")]) == 0
    assert "9 empty steps follow the golden inputs" in " ".join(capsys.readouterr().err.split())
    golden = read(tmp_path / "bundle").golden
    assert golden.inputs.shape == (1, 17, 2)
    assert golden.expected["layer8"].any()
