"""How an output becomes a decision: the scores of every kind, ties, silence, groups; and that it is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Captured
from hypothesis import given
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network
from tiny_programs import tiny_program
from toy_chip.runnable import ToyProgram

from i2e_deploy import bundle
from i2e_deploy.chips import Deciding, Program, get, parse_deciding, read_model, write_model
from i2e_deploy.chips.deciding import COUNT, scores_of, tied, unpack_deciding
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, CubaLif, DenseSynapse, never_fires
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.trace import Trace
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.stream import StreamSpec, Windower
from i2e_deploy.runtime import evaluate
from i2e_deploy.runtime.backlog import Waiting
from i2e_deploy.runtime.decider import Decider, LiveSpec

KINDS = st.builds(
    lambda kind, classes, lag, variable: (
        Deciding(kind, classes, lag, variable=variable) if kind.startswith("state") else Deciding(kind, classes, lag)
    ),
    st.sampled_from(["count", "mean", "state", "state-mean", "step"]),
    st.integers(0, 2**20), st.integers(0, 2**10), st.sampled_from(["", "v", "v_mem"]),
)  # fmt: skip


@given(KINDS)
def test_the_text_and_the_record_say_the_same(deciding: Deciding) -> None:
    assert parse_deciding(str(deciding)) == deciding
    assert unpack_deciding(json.loads(json.dumps(deciding.pack()))) == deciding
    assert deciding.describe()


@pytest.mark.parametrize(
    "text",
    ["", "spikes", "count/0", "count/", "count/9999999", "count:v", "mean+", "state+9999", "state:v/x"],
)
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="readout"):
        parse_deciding(text)


@pytest.mark.parametrize("seed", range(20))
def test_the_scores_are_what_the_kind_says(seed: int) -> None:
    """Against plain loops; sums of groups order as their means do."""
    rng = np.random.default_rng(seed)
    classes, each, batch, steps = (int(n) for n in rng.integers(1, 5, 4))
    output = rng.integers(-3, 4, (batch, steps, classes * each)).astype(np.int32)
    state = rng.integers(-(2**23), 2**23, (batch, classes, each, 1))
    for deciding, values in (
        (Deciding("count", classes), output.sum(axis=1)), (Deciding("mean", classes), output.sum(axis=1)),
        (Deciding("state", classes), state.reshape(batch, -1)), (Deciding("step", classes), output),
    ):  # fmt: skip
        found = scores_of(deciding, output, state)
        means = np.array([values[..., c * each : (c + 1) * each].mean(axis=-1) for c in range(classes)])
        assert np.array_equal(np.moveaxis(found, -1, 0), np.rint(means * each))
        assert np.array_equal(found.argmax(-1), means.round(9).argmax(0))
        largest = np.sort(np.moveaxis(means.round(9), 0, -1), axis=-1)
        assert np.array_equal(tied(found), largest[..., -1] == largest[..., -2] if classes > 1 else tied(found) & False)


def test_outputs_that_do_not_fall_into_groups_are_refused() -> None:
    program = LoihiProgram(silent())
    for classes in (3, 5):
        with pytest.raises(InputError, match="4 outputs do not fall"):
            program.decided_by(Deciding(classes=classes))
    assert program.decided_by(Deciding(classes=2)).deciding.classes == 2
    with pytest.raises(InputError, match="do not fall"):
        tiny_program(classes=4).decided_by(Deciding(classes=3))


def silent(threshold: int = 2**17) -> BlockNetwork:
    """Four integrators of three inputs that never fire."""
    weight = 2 * np.random.default_rng(3).integers(-30, 40, (4, 3))
    neuron = CubaLif(np.array([1024]), np.array([512]), threshold)
    return BlockNetwork((3,), (Block("out", neuron, (4,), (Connection(SOURCE, DenseSynapse(weight)),)),))


LIVE = ["count", "count/2", "count+2", "step", "step+1", "mean+1", "state", "state+2", "state-mean", "state-mean+1/2"]
FRAMES = (np.random.default_rng(4).random((9, 12, 3)) < 0.4).astype(np.int64)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("lag", [0, 1, 3])
def test_states_are_read_when_they_should(engine: Any, lag: int) -> None:
    """Against runs that were cut and gone on with, a step at a time."""
    program = LoihiProgram(silent())
    longer = np.pad(FRAMES, ((0, 0), (0, lag), (0, 0)))
    values = [program.run(longer[:, : t + 1], engine="reference").states["out"]["v"] for t in range(longer.shape[1])]
    at_end = program.decided_by(Deciding("state", lag=lag)).run(FRAMES, engine=engine)
    assert np.array_equal(at_end.scores(), values[-1])
    mean = program.decided_by(Deciding("state-mean", lag=lag)).run(FRAMES, engine=engine)
    assert np.array_equal(mean.scores(), sum(values[lag:]))
    assert not np.array_equal(at_end.scores(), mean.scores())
    for trace in (at_end, mean):  # the run itself is the same
        assert np.array_equal(trace.states["out"]["v"], program.run(FRAMES).states["out"]["v"])
        assert trace.output.shape == (9, 12, 4)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("kind", ["count", "mean", "step"])
def test_a_late_output_is_counted_from_its_first_step_on(engine: Any, kind: Any) -> None:
    """As a longer run with empty frames at its end gives it, as many steps as there are frames."""
    program = LoihiProgram(silent(threshold=20))
    whole = program.run(np.pad(FRAMES, ((0, 0), (0, 3), (0, 0))), engine="reference").output[:, 3:]
    trace = program.decided_by(Deciding(kind, lag=3)).run(FRAMES, engine=engine)
    assert np.array_equal(trace.scores(), whole if kind == "step" else whole.sum(axis=1))
    assert np.array_equal(trace.output, program.run(FRAMES).output)
    assert not np.array_equal(whole, trace.output)
    with pytest.raises(InputError, match="does not run on"):
        replace(trace, read=None).decisions()


def test_a_readout_goes_on_from_states() -> None:
    program = LoihiProgram(silent()).decided_by(Deciding("state", lag=1))
    first = program.run(FRAMES[:, :5])
    assert np.array_equal(program.run(FRAMES[:, 5:], states=first.states).scores(), program.run(FRAMES).scores())


def test_what_a_program_does_not_have_is_refused() -> None:
    program, speck = LoihiProgram(silent()), tiny_program()
    with pytest.raises(InputError, match="variables u, v"):
        program.decided_by(Deciding("state", variable="v_mem"))
    for kind in (Deciding("state-mean"), Deciding("state", variable="u")):
        with pytest.raises(InputError, match="v_mem"):
            speck.decided_by(kind)
    for kind in (Deciding("state", lag=1), Deciding(lag=1)):
        with pytest.raises(InputError, match="leave out the lag"):
            speck.decided_by(kind)
    assert speck.decided_by(Deciding("state")).deciding == Deciding("state", layer="readout", variable="v_mem")


def test_a_program_that_knows_one_way_says_so() -> None:
    program: Program = object.__new__(ToyProgram)
    assert program.decided_by(COUNT) is program
    with pytest.raises(UnsupportedError, match="by count alone"):
        program.decided_by(Deciding("mean"))


def test_a_target_without_states_says_so() -> None:
    trace = tiny_program().decided_by(Deciding("state")).run(np.ones((1, 2, 2, 8, 8), np.int32))
    assert trace.decisions().shape == (1,)
    with pytest.raises(InputError, match="does not report that state"):
        replace(trace, states={}).decisions()


def test_a_silent_output_is_an_error_of_evaluate_with_the_way_out() -> None:
    program = LoihiProgram(silent())
    labels = program.decided_by(Deciding("state")).run(FRAMES).decisions()
    with pytest.raises(InputError, match=r"no output fires on simulator in any of 9 samples.*--readout-kind state"):
        evaluate(program, FRAMES, labels)
    assert evaluate(program.decided_by(Deciding("state")), FRAMES, labels).accuracy == 1
    assert "no output fired on 9 of 9" in str(evaluate(program, FRAMES))  # without labels: said


def test_ties_and_silent_samples_are_said() -> None:
    program = LoihiProgram(replace(silent(threshold=1), blocks=(_twins(),)))
    frames = FRAMES.copy()
    frames[:2] = 0
    result = evaluate(program, frames, np.zeros(9, np.int64))
    assert (result.results[0].ties, result.results[0].silent) == (9, 2)
    assert "9 of 9 decisions are ties" in str(result)
    assert "no output fired on 2 of 9 samples" in str(result)
    assert result.to_dict()["targets"]["simulator"]["ties"] == 9


def _twins() -> Block:
    """Two outputs that do the same."""
    neuron = CubaLif(np.array([4096]), np.array([4096]), 1)
    return Block("out", neuron, (2,), (Connection(SOURCE, DenseSynapse(np.full((2, 3), 40))),))


@pytest.mark.parametrize("kind", ["count", "mean+3", "count+1/2", "step", "step+2", "state", "state-mean+1/2"])
def test_evaluate_counts_right_decisions_of_each_kind(kind: str) -> None:
    program = LoihiProgram(silent(threshold=20)).decided_by(parse_deciding(kind))
    wanted = program.run(FRAMES, engine="reference").decisions()
    labels = wanted[:, 3] if kind.startswith("step") else wanted
    result = evaluate(program, FRAMES, labels, ["simulator", "reference"], batch_size=4)
    right = (wanted == labels[:, None]).sum() if kind.startswith("step") else 9
    assert [row.correct for row in result.results] == [right, right]
    assert result.results[0].total == wanted.size
    assert result.agreements[0].same == result.agreements[0].total == wanted.size
    confusion = result.results[0].confusion
    assert confusion is not None
    assert confusion.sum() == wanted.size
    assert np.trace(confusion) == right
    assert result.results[0].per_sample["out"]["spikes"] == program.run(FRAMES).counts["out"].spikes / 9


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", LIVE)
def test_live_decisions_are_those_of_whole_windows(kind: str, keep: bool) -> None:
    """A window is a sample; with kept state it goes on from the one before, whatever the readout ran on for."""
    rng = np.random.default_rng(8)
    weight = DenseSynapse(2 * rng.integers(-30, 40, (4, 2 * 4 * 4)))
    block = Block("out", CubaLif(np.array([1024]), np.array([512]), 300), (4,), (Connection(SOURCE, weight),))
    program = LoihiProgram(BlockNetwork((2, 4, 4), (block,))).decided_by(parse_deciding(kind))
    spec = LiveSpec(StreamSpec(5, 1000), FrameSpec((4, 4), (2, 4, 4)), state="keep" if keep else "reset")
    windows = [w for w in _windows(spec, rng) if w.events]
    decider, states = Decider(program, spec), None
    for window in windows:
        trace = program.run(window.frames[None], engine="reference", states=states)
        states = trace.states if keep else None
        scores = trace.scores()[0, -1] if kind.startswith("step") else trace.scores()[0]
        decision = decider.decide(Waiting(window, (window.index,), 0.0))
        assert decision.scores == tuple(scores.tolist())
        assert decision.choice == scores.argmax()
        assert decision.spikes == {"out": trace.counts["out"].spikes}
    assert len(windows) > 5


def _windows(spec: LiveSpec, rng: np.random.Generator) -> list[Any]:
    from event_strategies import random_events

    events = random_events(400, 4, 4, int(rng.integers(2**31)), 250)
    windower = Windower(spec.stream, spec.frame)
    return [*windower.push(events), *windower.advance(60_000)]


@pytest.mark.parametrize("kind", ["count", "state:u", "state-mean:v+1/2", "step"])
def test_networks_programs_and_bundles_keep_it(kind: str, tmp_path: Path) -> None:
    network = silent(threshold=20).decided_by(parse_deciding(kind))
    write_model(network, tmp_path / "net.safetensors")
    again = read_model(tmp_path / "net.safetensors")
    assert isinstance(again, BlockNetwork)
    assert again.deciding == network.deciding
    written = bundle.write(tmp_path / "bundle", get("loihi2"), again, FRAMES[:2])
    assert written.program.deciding == network.deciding
    assert ("deciding" in written.manifest["program"]) == (network.deciding != COUNT)
    assert bundle.verify(written).exact
    assert np.array_equal(written.program.run(FRAMES).decisions(), LoihiProgram(network).run(FRAMES).decisions())
    speck = tiny_program().decided_by(Deciding("state"))
    tensors, data = speck.to_tensors()
    assert get("speck2f").program(tensors, json.loads(json.dumps(data))).deciding == speck.deciding


@pytest.mark.parametrize(
    "change", [{"kind": "best"}, {"classes": 3}, {"classes": -1}, {"lag": "1"}, {"layer": "x"}, {"variable": "w"}]
)
def test_a_damaged_readout_in_a_file_is_one_clear_error(change: dict[str, Any]) -> None:
    tensors, data = LoihiProgram(silent()).decided_by(Deciding("state")).to_tensors()
    data["deciding"] |= change
    with pytest.raises(FileFormatError):
        get("loihi2").program(tensors, data)


@pytest.mark.slow
def test_the_option_of_the_shell(tmp_path: Path, capsys: Captured) -> None:
    model, frames, data = tmp_path / "net.safetensors", tmp_path / "frames.npy", tmp_path / "data.npz"
    write_model(silent(), model)
    labels = LoihiProgram(silent()).decided_by(Deciding("state")).run(FRAMES).decisions()
    np.save(frames, FRAMES)
    np.savez(data, frames=FRAMES, labels=labels)
    chip = ["--chip", "loihi2"]
    simulate = ["simulate", str(model), *chip, "--input", str(frames), "--out", str(tmp_path / "trace.npz"), "--json"]
    assert run([*simulate, "--readout-kind", "state"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["decisions"], told["readout"]) == (labels.tolist(), "state:v")
    assert run(["evaluate", str(model), str(data), *chip]) == 2
    assert "--readout-kind state" in capsys.readouterr().err
    assert run(["evaluate", str(model), str(data), *chip, "--readout-kind", "state", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["targets"]["simulator"]["accuracy"] == 1
    exported = tmp_path / "bundle"
    assert run(["export", str(model), *chip, "--out", str(exported), "--readout-kind", "state"]) == 0
    assert bundle.read(exported).program.deciding.kind == "state"
    capsys.readouterr()
    assert run([*simulate, "--readout-kind", "best"]) == 2
    assert "choose one of count, mean" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(30))
def test_the_count_is_what_it_was(seed: int) -> None:
    """Networks that say nothing are read by their spikes, as ever."""
    network = draw_network(seed)
    trace: Trace = LoihiProgram(network).run(draw_frames(network, seed, 2, 6))
    assert np.array_equal(trace.decisions(), trace.output.sum(axis=1).argmax(axis=1))
    assert trace.silent() == (~trace.output.any(axis=(1, 2))).sum()
    assert never_fires(network.blocks[-1]) <= (trace.silent() == 2)
