"""What is said of single classes: how often each is right, and which are never decided."""

from __future__ import annotations

import numpy as np

from i2e_deploy.reporting.rightness import by_class, never_decided

CLASSES = ("cat", "dog", "owl")


def evaluation(*confusions: list[list[int]]) -> dict[str, object]:
    return {"classes": list(CLASSES), "targets": {f"t{n}": {"confusion": each} for n, each in enumerate(confusions)}}


def test_a_line_a_target_says_how_right_each_class_is_and_equal_targets_share_one() -> None:
    one, other = [[3, 1, 0], [0, 2, 0], [0, 0, 0]], [[4, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert by_class(evaluation(one, one, other)) == [
        "t0, t1, right by class: cat 75.0 %, dog 100.0 %", "t2, right by class: cat 100.0 %, dog 50.0 %",
    ]  # fmt: skip
    assert by_class({"targets": {"t": {"confusion": None}}}) == []


def test_of_many_classes_the_worst_are_listed() -> None:
    many = np.diag(np.full(30, 4))
    many[7, 7], many[7, 8] = 1, 3
    (line,) = by_class({"targets": {"t": {"confusion": many.tolist()}}})
    assert line.startswith("t, right by class, the lowest: 7 25.0 %, ")
    assert line.count("%") == 10


def test_a_class_that_has_samples_and_is_never_decided_is_named() -> None:
    assert never_decided(np.array([[3, 1, 0], [1, 3, 0], [1, 3, 0]]), CLASSES).startswith("never decided: owl. ")
    assert never_decided(np.array([[0, 4, 0], [0, 3, 0], [1, 3, 0]]), ()).startswith("never decided: 2. ")
    assert never_decided(np.array([[3, 1, 0], [1, 3, 0], [0, 0, 0]]), CLASSES) == ""
