"""The questionnaire on fake boards: hidden options are found, other behaviour is reported, faults mislead nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from i2e_deploy.chips.answers import NONE, NOT_ASKED, BoardAnswers
from i2e_deploy.chips.dynapcnn import BoardOptions, CoreLayer, DynapcnnChip, Faults, fake_samna
from i2e_deploy.chips.dynapcnn.probing.drawn import PHASES, Hidden, draw
from i2e_deploy.chips.dynapcnn.probing.probe import probe_board, questions
from i2e_deploy.chips.dynapcnn.reference.event_options import UNSETTLED, EventOptions, choices
from i2e_deploy.chips.dynapcnn.targets.board.fake import Character
from i2e_deploy.errors import BoardNotFound, InputError, SourceLost


def asked(hidden: Hidden, **options: Any) -> BoardAnswers:
    with fake_samna(faults=hidden.faults, options=hidden.options, character=hidden.character) as samna:
        try:
            return probe_board("speck2f", BoardOptions(), **options)
        finally:
            assert all(not board.open for board in samna.opened)


def wrong(answers: BoardAnswers, hidden: Hidden) -> dict[str, str]:
    """Answers that are an alternative, and not the right one."""
    truth = hidden.truth()
    return {name: answer for name, answer in answers.settled().items() if name in truth and truth[name] != answer}


def missing(answers: BoardAnswers, hidden: Hidden) -> set[str]:
    return set(hidden.truth()) - set(answers.settled())


QUESTIONS = [question.name for question in questions()]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 100, 25))
def test_hidden_options_of_a_hundred_drawn_boards_are_all_found(first: int) -> None:
    for seed in range(first, first + 25):
        hidden = draw(seed)
        answers = asked(hidden, repeats=3, only=QUESTIONS)
        assert not wrong(answers, hidden)
        assert not missing(answers, hidden)


def test_every_value_of_every_option_is_found() -> None:
    """Each alone, beside defaults; `slow` draws them together."""
    for name in UNSETTLED:
        for value in choices()[name]:
            change: Any = {name: value}
            phase = PHASES.get(value, 0.0) if name == "tick" else 0.0
            hidden = Hidden(replace(EventOptions(), **change), Faults(clock_phase=phase))
            answers = asked(hidden, repeats=3, only=[name])
            assert answers.settled() == {name: value}


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults", [{"lose_every": 11}, {"lose_spikes_every": 23}, {"strays": True}, {"delay_s": 0.004}], ids=str
)
def test_losses_noise_and_delay_give_no_wrong_answer(faults: dict[str, Any]) -> None:
    for seed in range(2):
        drawn = draw(seed)
        hidden = replace(drawn, faults=replace(drawn.faults, **faults))
        answers = asked(hidden, only=QUESTIONS)
        assert not wrong(answers, hidden)
        assert not missing(answers, hidden), [each for each in answers.answers if not each.settled]


@pytest.mark.slow
def test_heavy_losses_leave_questions_open_rather_than_wrong() -> None:
    for seed in range(2):
        drawn = draw(seed)
        hidden = replace(drawn, faults=replace(drawn.faults, lose_every=2, lose_spikes_every=3))
        assert not wrong(asked(hidden, only=QUESTIONS), hidden)


def test_a_board_that_follows_no_alternative_is_reported_with_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chip that visits its neurons in a fourth order: columns first. The order itself is in what is kept."""
    from i2e_deploy.chips.dynapcnn.engine.event import engine

    def columns_first(part: Any, event_of: Any, options: EventOptions) -> Any:
        return part[np.lexsort((part["c"], part["y"], part["x"], event_of))]

    monkeypatch.setattr(engine, "_sorted", columns_first)
    answers = asked(Hidden(EventOptions(sweep="reverse")), only=["sweep"])
    (answer,) = answers.answers
    assert (answer.answer, answer.settled, answer.asked) == (NONE, False, 40)
    assert answer.seen[0].times == 40
    # neuron i of the second core compares the i-th ordered pair of the eight (f, y, x): rows say who came before whom
    first = [row[2] for row in answer.seen[0].rows]
    pairs = [(a, b) for a in range(8) for b in range(8) if a != b]
    before = {pairs[i] for i in first}
    order = sorted(range(8), key=lambda n: sum((m, n) in before for m in range(8)))
    places = [(n % 2, n // 2 % 2, n // 4) for n in order]  # x, y, f
    assert places == sorted(places)


def test_a_configuration_that_samna_refuses_is_a_question_that_was_not_asked() -> None:
    answers = asked(Hidden(faults=Faults(refuses="threshold_low must not be 0")), only=["zero_bound"])
    (answer,) = answers.answers
    assert answer.answer == NOT_ASKED
    assert "threshold_low must not be 0" in answer.note


def test_a_clock_whose_phase_is_between_two_is_the_nearer() -> None:
    for phase, expected in ((0.1, "start"), (0.35, "middle"), (0.65, "middle"), (0.9, "end")):
        assert asked(Hidden(faults=Faults(clock_phase=phase)), only=["tick"]).settled() == {"tick": expected}


@pytest.mark.parametrize(("name", "value"), [
    ("own_pixel", "no"), ("hot_pixels", "interval"), ("readout_tie", "highest"), ("readout_average", "recursive"),
    ("decimator", "first"),
])  # fmt: skip
def test_blocks_around_the_cores_are_found_alone(name: str, value: str) -> None:
    """Beside defaults; of drawn boards `slow` asks everything."""
    field = {"readout_tie": "tie", "readout_average": "average", "decimator": "passes"}.get(name, name)
    change: Any = {field: value}
    hidden = Hidden(character=Character(**change))
    assert asked(hidden, repeats=3, only=[name]).settled() == {name: value} == {name: hidden.truth()[name]}


def test_resets_without_effect_and_first_events_are_found() -> None:
    every: Any = range(10**9)
    hidden = Hidden(faults=Faults(ignored_resets=every, loses_first="none"))
    assert asked(hidden, repeats=3, only=["reset"]).settled() == {"reset": hidden.truth()["reset"]}
    for loses in ("none", "chip", "core"):
        hidden = Hidden(faults=Faults(loses_first=loses))
        assert asked(hidden, repeats=3, only=["first_event"]).settled() == {
            "first_event": hidden.truth()["first_event"]
        }


def test_a_core_with_another_threshold_follows_no_alternative() -> None:
    """Wherever the threshold decides; nowhere is another alternative named."""

    def higher(layer: CoreLayer) -> CoreLayer:
        return replace(layer, threshold=min(layer.threshold + 40, 2**15 - 1))

    answers = asked(Hidden(character=Character(twist=higher)), repeats=3, only=["sweep", "merge", "one_spike", "reset"])
    assert [each.answer for each in answers.answers] == [NONE] * 4
    assert all(each.seen for each in answers.answers)


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"no question 'sweeps': choose of sweep, "):
        asked(Hidden(), only=["sweeps"])
    with (
        fake_samna(),
        pytest.raises(InputError, match=r"Speck2fDevKit has the chip speck2f, not speck2e: give --chip speck2f"),
    ):
        probe_board("speck2e", BoardOptions())
    with fake_samna(boards=()), pytest.raises(BoardNotFound, match=r"no Speck board found"):
        probe_board("speck2f", BoardOptions())
    with pytest.raises(SourceLost, match=r"board lost at question sweep"):
        asked(Hidden(faults=Faults(unplug_after=2)))
    with pytest.raises(InputError, match=r"--target fake-board:x: choose board, "):
        DynapcnnChip("speck2f").probe("fake-board:x")


def test_answers_name_no_board_in_particular() -> None:
    answers = DynapcnnChip("speck2f").probe("fake-board:1", repeats=3, only=["merge"])
    assert (answers.board, answers.target, answers.chip) == ("Speck2fDevKit", "fake-board:1", "speck2f")
    assert not answers.silicon
    assert answers.events > 0
    assert 1 < answers.seconds < 60
    assert questions()[0].name == "sweep"
