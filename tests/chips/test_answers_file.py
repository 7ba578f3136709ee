"""The file of a board's answers: it comes back as it was, and whatever is wrong in it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.chips.answers import NONE, NOT_ASKED, VARIES, Answer, BoardAnswers, Measured, Seen, decide
from i2e_deploy.chips.answers_file import read_answers, write_answers
from i2e_deploy.errors import FileFormatError, InputError

ANSWERS = BoardAnswers(
    "speck2f", "Speck2fDevKit", "board", "2026-11-29", "i2e-deploy 1, samna 2",
    (
        Answer("overflow", "stays or wraps", "wrap", {"saturate": 0, "wrap": 9}, 10, (Seen(1, ((0, 1, 2),)),)),
        Answer("merge", "who is first", NONE, {"listed": 0, "reversed": 1}, 10, (Seen(9, ()),)),
        Answer("tick", "when", NOT_ASKED, {"start": 0}, 0, note="refused"),
    ),
    (Measured("synops_rate", "how fast", 2.5e7, 3e7, "synaptic operations / s", 10, "a bound"),), 12.5, 321,
)  # fmt: skip


def written(tmp_path: Path, change: Any = None) -> Path:
    path = tmp_path / "board.json"
    write_answers(ANSWERS, path)
    if change is not None:
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))
    return path


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    assert read_answers(written(tmp_path)) == ANSWERS


WRONG: dict[str, tuple[Any, str]] = {
    "another format": (lambda d: d.update(format="x"), "format is 'x'"),
    "a later version": (lambda d: d.update(format_version=2), "format is"),
    "an unknown key": (lambda d: d.update(serial_number="12"), "serial_number"),
    "a missing key": (lambda d: d.pop("seconds"), "seconds"),
    "no day": (lambda d: d.update(asked_on="today"), "asked_on"),
    "a control character": (lambda d: d.update(board="\x1b[2J"), "board is no printable text"),
    "a long text": (lambda d: d.update(software="x" * 501), "software is no printable text"),
    "no list": (lambda d: d.update(answers={}), "answers is no list"),
    "too many": (lambda d: d.update(answers=d["answers"] * 100), "answers is no list of at most 200"),
    "a name twice": (lambda d: d["answers"].append(d["answers"][0]), "answers has a name twice"),
    "an answer that is no alternative": (lambda d: d["answers"][0].update(answer="x"), "none of its alternatives"),
    "an answer nobody gave": (lambda d: d["answers"][0].update(answer="saturate"), "which no repeat followed"),
    "more than were asked": (lambda d: d["answers"][0].update(asked=9), "counts more"),
    "no alternatives": (lambda d: d["answers"][0].update(counts={}), "no object of 1 to"),
    "a count below 0": (lambda d: d["answers"][0]["counts"].update(wrap=-1), "expected an integer"),
    "a count of true": (lambda d: d["answers"][0]["counts"].update(wrap=True), "expected an integer"),
    "rows of text": (lambda d: d["answers"][0]["seen"][0].update(rows=[["a"]]), "expected an integer"),
    "a long row": (lambda d: d["answers"][0]["seen"][0].update(rows=[[0] * 17]), "at most 16 integers"),
    "many rows": (lambda d: d["answers"][0]["seen"][0].update(rows=[[0]] * 257), "at most 256"),
    "ends the wrong way round": (lambda d: d["measured"][0].update(low=4e7), "is from"),
    "a figure of any size": (lambda d: d["measured"][0].update(high=10**400), "a number from"),
    "no readings": (lambda d: d["measured"][0].update(readings=0), "expected an integer"),
    "NaN": (lambda d: d["measured"][0].update(high=float("nan")), "NaN is no number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(name: str, tmp_path: Path) -> None:
    change, text = WRONG[name]
    with pytest.raises(
        FileFormatError, match=r"holds no answers of a board: .*; write it with `i2e-deploy probe`"
    ) as e:
        read_answers(written(tmp_path, change))
    assert text in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"format": "i2e-deploy-board"}', "\xff"])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FileFormatError, match="holds no answers of a board"):
        read_answers(path)
    with pytest.raises(InputError, match="no such file"):
        read_answers(tmp_path / "none.json")


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="answers cannot be written"):
        write_answers(replace(ANSWERS, board=""), tmp_path / "x.json")
    assert not list(tmp_path.iterdir())


PREDICTED = {"a": [((0, 0), (0, 1))], "b": [((0, 2), (0, 3)), ((1, 2), (1, 3))]}
A, B1, B2, OTHER, LOST = PREDICTED["a"][0], *PREDICTED["b"], ((5, 5),), ((0, 0),)


@given(st.lists(st.sampled_from([A, B1, B2, OTHER, LOST]), max_size=40))
def test_an_answer_is_what_most_repeats_did(observed: list[Any]) -> None:
    found = decide("x", "y", PREDICTED, observed)
    counts = {"a": observed.count(A), "b": observed.count(B1) + observed.count(B2)}
    assert dict(found.counts) == counts
    assert found.asked == len(observed)
    most, least = max(counts.values()), min(counts.values())
    other = max(observed.count(OTHER), observed.count(LOST))
    if other >= max(most, 3):
        assert found.answer == NONE
    elif most >= 3 and most >= 4 * least:
        assert counts[found.answer] == most
    else:
        assert found.answer == VARIES
    assert sum(counts.values()) + sum(seen.times for seen in found.seen) == len(observed)
