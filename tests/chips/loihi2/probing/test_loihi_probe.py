"""Questions to a Loihi 2: predicted by one population's arithmetic, answered by Lava's models and by made-up boards."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from children import needs_lava_run
from hypothesis import given
from hypothesis import strategies as st
from public_data import record

from i2e_deploy.chips import get
from i2e_deploy.chips.abilities import AnswersQuestions, require
from i2e_deploy.chips.answers import NONE, BoardAnswers, meant_by
from i2e_deploy.chips.loihi2.probing import probe as probing
from i2e_deploy.chips.loihi2.probing.arithmetic import Arithmetic, run_population
from i2e_deploy.chips.loihi2.probing.questions import Question, population, questions
from i2e_deploy.chips.loihi2.reference.run import run_reference
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import InputError

QUESTIONS = {question.name: question for question in questions()}
each_question = pytest.mark.parametrize("question", list(QUESTIONS.values()), ids=list(QUESTIONS))


@given(st.integers(0, 2**32 - 1))
def test_with_its_defaults_the_population_is_the_reference(seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs, size, steps = (int(random.integers(1, n)) for n in (5, 5, 12))
    largest = int(random.choice([200, 30_000, 300_000]))  # a current leaves 24 bits above 131,072
    weight = random.integers(-largest, largest, (size, inputs))
    delays = random.integers(0, 4, weight.shape) if random.random() < 0.5 else None
    bias = random.integers(-100, 100, size) if random.random() < 0.5 else None
    threshold, *decays = (int(random.integers(0, n)) for n in (2**17, 4097, 4097))
    network = population(weight, threshold, decays[0], decays[1], bias, delays)
    frames = random.integers(0, 2, (steps, inputs))
    ran, trace = run_population(network, frames, Arithmetic()), run_reference(network, frames[None], "chip")
    np.testing.assert_array_equal(ran.spikes, trace.spikes["asked"][0])
    np.testing.assert_array_equal(ran.u, trace.states["asked"]["u"][0])
    np.testing.assert_array_equal(ran.v, trace.states["asked"]["v"][0])


@each_question
def test_alternatives_differ_and_a_lost_row_misleads_nobody(question: Question) -> None:
    predicted = {name: rows for name, (rows,) in question.predicted.items()}
    assert len(set(predicted.values())) == len(predicted) > 1
    for name, rows in predicted.items():
        for i in range(len(rows)):
            assert meant_by((*rows[:i], *rows[i + 1 :]), question.predicted) in (name, None)


@each_question
def test_the_first_alternative_is_what_the_simulator_does(question: Question) -> None:
    trace = run_reference(question.network, question.frames[None], "chip")
    states = trace.states["asked"]
    seen = question.observe(trace.spikes["asked"][0], states["u"][0], states["v"][0])
    assert meant_by(seen, question.predicted) == question.alternatives[0]


def on_board(monkeypatch: pytest.MonkeyPatch, arithmetic: Arithmetic, **asked: Any) -> BoardAnswers:
    """A made-up board that computes so."""

    def run(network: Any, frames: Any, semantics: str, hardware: bool) -> Trace:
        ran = [run_population(network, each, arithmetic) for each in frames]
        states = {name: np.stack([getattr(each, name) for each in ran]) for name in "uv"}
        spikes = np.stack([each.spikes for each in ran]).astype(np.int32)
        return Trace({"asked": spikes}, {"asked": states}, spikes, {})

    monkeypatch.setattr(probing, "run_lava", run)
    return require(get("loihi2"), AnswersQuestions, "").probe("board", None, asked.get("only", ()), lambda *_: None)


WORDS = {
    "rounding": ("decay_rounding", ("toward zero", "down", "to the nearest")),
    "current": ("current_overflow", ("wraps", "clips")),
    "voltage": ("voltage_overflow", ("clips", "wraps")),
    "fires": ("compare", (">", ">=")),
    "reads": ("spike_reading", ("after the reset", "before the reset", "a marker")),
}


def test_every_combination_that_a_board_may_hide_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for values in itertools.product(*(words for _, words in WORDS.values())):
        change: Any = dict(zip(WORDS, values, strict=True))
        answers = on_board(monkeypatch, Arithmetic(**change))
        settled = answers.settled()
        assert {name: settled.get(name) for name, _ in WORDS.values()} == dict(
            zip((name for name, _ in WORDS.values()), values, strict=True)
        )
        assert (settled["delay"], settled["bias_timing"]) == ("as written", "the first")


def test_other_times_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for extra, name in ((-1, "a step less"), (1, "a step more")):
        answers = on_board(monkeypatch, Arithmetic(extra_delay=extra), only=["delay"])  # type: ignore[arg-type]
        assert answers.settled() == {"delay": name}
    assert on_board(monkeypatch, Arithmetic(bias_from=2), only=["bias_timing"]).settled() == {
        "bias_timing": "the second"
    }


def test_what_no_alternative_does_is_kept_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2e_deploy.chips.loihi2.probing.arithmetic.MARKER", 77)
    answers = on_board(monkeypatch, Arithmetic(reads="a marker"), only=["spike_reading", "compare"])
    compare, reading = answers.answers
    assert (compare.answer, reading.answer) == (">", NONE)
    assert {row[3] for row in reading.seen[0].rows if row[0] == 1} >= {77}
    chip = require(get("loihi2"), AnswersQuestions, "")
    lines = require(chip.as_answered(answers), AnswersQuestions, "").told()
    assert "simulated as it answered: compare" in lines
    assert "still open: spike_reading (none of these)" in lines
    clips = on_board(monkeypatch, Arithmetic(current="clips"), only=["current_overflow"])
    (_, _, line) = require(chip.as_answered(clips), AnswersQuestions, "").told()
    assert line.startswith("not simulated: what a current does")
    assert "the board says 'clips', the simulation 'wraps'" in line
    with pytest.raises(InputError, match=r"answers are of a board with speck2f, not loihi2"):
        chip.as_answered(replace(answers, chip="speck2f"))


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"--target simulator: choose board or lava"):
        probing.probe("loihi2", "simulator")
    with pytest.raises(InputError, match=r"no question 'sweep': choose of current_overflow, "):
        probing.probe("loihi2", "lava", only=["sweep"])
    with pytest.raises(InputError, match=r"2 repeats: give 3 to 1000"):
        probing.probe("loihi2", "lava", 2)


@pytest.mark.parametrize("rounding", ["toward zero", "down", "to the nearest"])
def test_the_record_of_a_chip_wants_a_marker_at_spikes_and_no_rounding_to_the_nearest(rounding: Any) -> None:
    """One neuron (`test_records.py` has the network). Its voltages are never negative, so of the other two roundings it
    says nothing: that is still to be asked."""
    rows = np.loadtxt(record("loihi2_lif/lif_lava_loihi_fixed.csv"), delimiter=",").astype(np.int64)
    given, chip, fired = rows.T
    network = population([[10]], threshold=25, current_decay=4096, voltage_decay=163)
    steps = int(np.flatnonzero(fired)[0]) + 1  # the first spike is in the last of these
    frames = given[:steps, None]
    wrong = sum(
        int(run_population(network, frames[:end], Arithmetic(rounding, reads="a marker")).v[0]) != chip[end - 1]
        for end in range(steps - 5, steps + 1)
    )
    assert (wrong == 0) == (rounding != "to the nearest")
    assert chip.min() >= 0


@needs_lava_run
@pytest.mark.slow
def test_lavas_models_answer_as_the_simulator_assumes() -> None:
    """Lava in the place of the board: the whole way, files, child process and probes included."""
    answers = probing.probe("loihi2", "lava")
    assert answers.settled() == {name: question.alternatives[0] for name, question in QUESTIONS.items()}
    assert not answers.silicon
