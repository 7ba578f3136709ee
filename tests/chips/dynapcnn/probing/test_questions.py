"""Questions of the probe: their alternatives can be told apart, one lost event or spike misleads nobody."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from i2e_deploy.chips.answers import meant_by
from i2e_deploy.chips.dynapcnn.checks.placement import cores_of
from i2e_deploy.chips.dynapcnn.engine.event.engine import EventEngine
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.probing.probe import questions
from i2e_deploy.chips.dynapcnn.probing.question import Question, Way, sent
from i2e_deploy.chips.dynapcnn.reference.event_options import UNSETTLED, EventOptions, choices
from i2e_deploy.chips.profile import load_profile

QUESTIONS = {question.name: question for question in questions()}
each_question = pytest.mark.parametrize("question", list(QUESTIONS.values()), ids=list(QUESTIONS))


def ways(question: Question) -> list[tuple[str, Way]]:
    return [(name, way) for name, all_ways in question.ways.items() for way in all_ways]


@each_question
def test_no_two_alternatives_predict_the_same(question: Question) -> None:
    """A question that its input cannot answer is a defect of the question."""
    for (first, ones), (second, others) in combinations(question.predicted.items(), 2):
        assert not set(ones) & set(others), f"{first} and {second} look the same"
    assert len(question.predicted) > 1


@each_question
def test_a_lost_event_or_spike_looks_like_no_other_alternative(question: Question) -> None:
    for name, way in ways(question):
        full = question.observe(sent(question, way))
        assert meant_by(full, question.predicted) == name
        spikes = sent(question, way)
        for layer, rows in ({} if question.pins else spikes).items():  # the pins are no spikes
            for i in range(len(rows)):
                seen = question.observe(spikes | {layer: np.delete(rows, i)})
                assert meant_by(seen, question.predicted) in (name, None), f"{name} without spike {i} of {layer}"
        if question.name == "first_event":
            continue  # a lost event is what it asks about: its repeats tell chance from rule
        for slot in (i for i, event in enumerate(question.events) if event is not None):
            without = replace(question, events=(*question.events[:slot], None, *question.events[slot + 1 :]))
            seen = without.observe(sent(without, way))
            assert meant_by(seen, question.predicted) in (name, None), f"{name} without the event in slot {slot}"


@each_question
def test_predictions_are_those_of_the_fast_engine(question: Question) -> None:
    """The board's stand-in computes with the engine; a question must not rest on where the two could differ."""
    for _, way in ways(question):
        if way.steps or way.chained or way.fired[0] or way.lost or question.pins or question.program.sensor is not None:
            continue
        program = question.program if way.program is None else way.program
        stimuli = question.stimuli(way.options if program.has_bias else None)
        run = EventEngine(program, way.options).run(stimuli)
        spikes = {name: run.spikes[name] for name in question.watched}
        assert question.observe(spikes) == question.observe(sent(question, way))


@each_question
@pytest.mark.parametrize("chip", ["speck2e", "speck2f"])
def test_every_question_fits_its_cores(question: Question, chip: str) -> None:
    profile = load_profile(chip)
    assert len(set(question.cores)) == len(question.cores)
    for layer, core in zip(question.program.layers, question.cores, strict=True):
        assert core in cores_of(layer, profile)
        assert layer.threshold >= 1
        assert np.abs(layer.weight.astype(int)).max() <= 128
    build_config(question.program, question.placement, chip, question.watched)
    if question.clock_us is not None:
        low, high = profile.limit("slow_clock_lowest").value, profile.limit("slow_clock_highest").value
        assert isinstance(low, int)
        assert isinstance(high, int)
        assert low <= 1e6 / question.clock_us <= high


def test_every_open_option_has_its_question() -> None:
    assert sorted(question.settles for question in QUESTIONS.values() if question.settles) == sorted(UNSETTLED)
    for question in QUESTIONS.values():
        if question.settles:
            assert set(question.ways) == set(choices()[question.settles])


def test_what_is_simulated_is_the_first_alternative_of_a_question_that_settles_nothing() -> None:
    for question in QUESTIONS.values():
        if not question.settles:
            first = next(iter(question.predicted.values()))
            assert question.observe(sent(question, Way(EventOptions()))) in first
