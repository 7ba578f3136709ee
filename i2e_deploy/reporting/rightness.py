"""How right each class is: the confusion of an evaluation as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.text import listed

#: Classes of a confusion that is shown whole, and classes that are listed of a larger one.
SHOWN, LISTED = 20, 10


def rightness(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `rightness.html.j2` needs, of every target with labels (`Evaluation.to_dict`); equal ones once.

    Raises:
        KeyError, TypeError, ValueError: the evaluation holds something else.
    """
    rows: list[dict[str, Any]] = []
    for target, row in evaluation["targets"].items():
        matrix = row.get("confusion")
        if not matrix:
            continue
        same = next((each for each in rows if each["held"] == matrix), None)
        if same is not None:
            same["target"] += f", {target}"
            continue
        names = _names(evaluation.get("classes") or (), len(matrix))
        classes = [_of_class(names, number, cells) for number, cells in enumerate(matrix)]
        whole = len(matrix) <= SHOWN
        listed = sorted((each for each in classes if each["share"] is not None), key=lambda each: each["share"])
        rows.append({"target": str(target), "held": matrix, "matrix": matrix if whole else None, "names": names,
                     "classes": classes, "many": len(matrix), "worst": listed[:LISTED]})  # fmt: skip
    return rows


def by_class(evaluation: Mapping[str, Any]) -> list[str]:
    """A line a target for people: the share of every class that is right, by its name; of many the worst.

    Raises:
        KeyError, TypeError, ValueError: the evaluation holds something else.
    """
    lines = []
    for row in rightness(evaluation):
        listed = row["classes"] if row["matrix"] else row["worst"]
        shares = ", ".join(f"{each['name']} {each['text']}" for each in listed if each["share"] is not None)
        lines.append(f"{row['target']}, right by class{'' if row['matrix'] else ', the lowest'}: {shares}")
    return lines


def never_decided(confusion: NDArray[np.int64], classes: Sequence[str]) -> str:
    """What a person must know of classes that have samples and are never decided; "" where there are none.

    Args:
        confusion: int64 [classes, classes], row = label, column = decision.
        classes: names, by number.
    """
    silent = np.flatnonzero((confusion.sum(axis=1) > 0) & (confusion.sum(axis=0) == 0))
    if not len(silent):
        return ""
    names = listed([_names(classes, len(confusion))[number] for number in silent])
    return (
        f"never decided: {names}. An output that was silenced early gets no gradient and stays silent: train longer, "
        "with a lower learning rate, smaller batches or another seed"
    )


def evaluated_cards(evaluation: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Headline figures of the first target, and of float where it is another: (value, label, note)."""
    cards, targets = [], list(evaluation["targets"].items())
    for target, row in [*targets[:1], *(pair for pair in targets[1:] if pair[0] == "float")]:
        if (values := row.get("values")) is not None:
            pair = values["interval95"].get("rmse")
            note = "" if pair is None else f"95 % interval {pair[0]:.4g} to {pair[1]:.4g}, "
            cards.append((f"{values['rmse']:.4g}", f"RMSE on {target}", f"{note}{evaluation['samples']:,} samples"))
        elif row["accuracy"] is not None:
            low, high = row["interval95"]
            note = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %, {evaluation['samples']:,} samples"
            cards.append((f"{100 * row['accuracy']:.1f} %", f"accuracy on {target}", note))
    return cards


def _names(given: Sequence[str], classes: int) -> list[str]:
    """Of every class, its number where nobody named it."""
    return [str(given[number]) if number < len(given) else str(number) for number in range(classes)]


def _of_class(names: Sequence[str], label: int, cells: Sequence[int]) -> dict[str, Any]:
    """Share that is right, and what a class is taken for."""
    total = sum(cells)
    share = cells[label] / total if total else None
    wrong = sorted(((count, number) for number, count in enumerate(cells) if count and number != label), reverse=True)
    taken = ", ".join(f"{names[number]} {count}" for count, number in wrong[:3])
    text = "no sample" if share is None else f"{100 * share:.1f} %"
    return {"name": names[label], "share": share, "text": text, "taken": taken}
