"""Figures of a board: those of fake boards whose speed and energy are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_programs import tiny_program

from i2e_deploy.chips.answers import BoardAnswers
from i2e_deploy.chips.dynapcnn import BoardOptions, DynapcnnChip, fake_samna
from i2e_deploy.chips.dynapcnn.probing.probe import probe_board
from i2e_deploy.chips.dynapcnn.probing.rates import FIGURES
from i2e_deploy.chips.dynapcnn.targets.board.fake import Character
from i2e_deploy.errors import InputError

CHARACTER = Character(
    synops_rate=25e6, parallel_rate=90e6, core_us=0.4, events_rate=2e6, queue=1000, synop_j=310e-12, spike_j=2e-9
)


def measured(character: Character, *only: str, repeats: int = 3) -> BoardAnswers:
    with fake_samna(character=character):
        return probe_board("speck2f", BoardOptions(), repeats, only or FIGURES)


@pytest.fixture(scope="module")
def answers() -> BoardAnswers:
    return measured(CHARACTER)


@pytest.mark.parametrize(
    ("name", "value", "within"),
    [
        ("synops_rate", 25e6, 0.01),  # time stamps of 1 us on spans of 100 ms
        ("synops_rate_parallel", 90e6, 0.01),
        ("interface_rate", 2e6, 0.01),
        ("monitor_rate", 2e6, 0.01),
        ("idle_w", 480.4e-6, 0.02),
        ("synop_j", 310e-12, 0.04),  # the monitor also reads 40 ms of rest around 2 s
        ("spike_j", 2e-9, 0.04),
    ],
)
def test_what_the_board_was_made_with_is_measured(
    answers: BoardAnswers, name: str, value: float, within: float
) -> None:
    figure = answers.figure(name)
    assert figure is not None
    assert figure.low == pytest.approx(value, rel=within)
    assert figure.high == pytest.approx(value, rel=within)


def test_the_delay_of_a_core_is_in_its_range(answers: BoardAnswers) -> None:
    figure = answers.figure("core_delay")
    assert figure is not None
    assert figure.low <= 0.4 <= figure.high
    assert figure.high - figure.low <= 0.5  # time stamps of 1 us over five cores, both ways


def test_lost_spikes_of_a_burst_are_counted(answers: BoardAnswers) -> None:
    lost = answers.figure("monitor_loss")
    assert lost is not None
    assert lost.low == pytest.approx(100 * (1 - 1001 / 3600), abs=0.1)  # one under way and 1,000 that wait
    assert measured(Character(), "monitor_loss").figure("monitor_loss").high == 0  # type: ignore[union-attr]


def test_what_is_faster_than_the_interface_is_a_lower_bound() -> None:
    """A core of any speed behind an interface: its work does not show."""
    answers = measured(Character(events_rate=1e5), "synops_rate")
    assert answers.figure("synops_rate") is None
    bound = answers.figure("synops_rate_at_least")
    assert bound is not None
    assert "something else" in bound.note
    assert bound.high == pytest.approx(32 * 225 * 1e5, rel=0.01)
    chip = DynapcnnChip("speck2f").as_answered(answers)
    assert chip.profile.limit("synops_rate") == DynapcnnChip("speck2f").profile.limit("synops_rate")


def test_estimates_are_of_the_board_that_was_measured(answers: BoardAnswers) -> None:
    plain = DynapcnnChip("speck2f")
    chip = plain.as_answered(answers)
    assert plain.profile.limit("synops_rate").value == 30_000_000
    limit = chip.profile.limit("synops_rate")
    assert limit.certainty == "calibrated"
    assert limit.value == int(answers.figure("synops_rate").low)  # type: ignore[union-attr]
    program = tiny_program(bias=False)
    frames = np.random.default_rng(0).integers(0, 2, (2, 5, *program.input_shape))
    costs = chip.costs(chip.settle(program), frames)
    assert costs is not None
    assert {load.certainty for load in costs.loads} == {"calibrated"}
    assert {f.certainty for f in costs.figures if f.name.startswith("dynamic")} == {"calibrated"}
    assert all("probe of a Speck2fDevKit (board)" in load.source for load in costs.loads)
    assert "energy per operation" in " ".join(chip.told())


def test_answers_of_another_chip_are_refused(answers: BoardAnswers) -> None:
    with pytest.raises(InputError, match=r"the answers are of a board with speck2e, not speck2f: probe a board of it"):
        DynapcnnChip("speck2f").as_answered(replace(answers, chip="speck2e"))
