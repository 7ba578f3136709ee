"""The questionnaire of `i2e-deploy probe` on drawn fake boards: how many of their hidden options it finds.

    python benchmarks/probe.py > benchmarks/results/probe.txt

Nothing here is timed but the fake boards' own clock, which counts what the protocol waits for (rest after a
configuration, time of the events, silence after them) and no time of transfers. `--boards N` draws fewer; `--part` runs
a part, and parts give the same rows in processes of their own.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
from rows import machine

from i2e_deploy.chips.answers import NONE, NOT_ASKED, VARIES, BoardAnswers
from i2e_deploy.chips.dynapcnn import BoardOptions, CoreLayer, fake_samna
from i2e_deploy.chips.dynapcnn.probing.drawn import Hidden, draw
from i2e_deploy.chips.dynapcnn.probing.probe import probe_board, questions
from i2e_deploy.chips.dynapcnn.probing.rates import FIGURES
from i2e_deploy.chips.dynapcnn.targets.board.fake import Character

QUESTIONS = [question.name for question in questions()]


def ask(hidden: Hidden, only: Iterable[str], repeats: int = 10) -> BoardAnswers:
    with fake_samna(faults=hidden.faults, options=hidden.options, character=hidden.character):
        return probe_board("speck2f", BoardOptions(), repeats, tuple(only))


def clean(seed: int) -> Hidden:
    return draw(seed)


def losing(seed: int) -> Hidden:
    """One input event of 9 to 60 is lost, and one output spike of 15 to 80."""
    random, hidden = np.random.default_rng(1000 + seed), draw(seed)
    events, spikes = int(random.integers(9, 61)), int(random.integers(15, 81))
    return replace(hidden, faults=replace(hidden.faults, lose_every=events, lose_spikes_every=spikes))


def badly(seed: int) -> Hidden:
    """One input event of 2 to 4 is lost, and one output spike of 2 to 5."""
    random, hidden = np.random.default_rng(2000 + seed), draw(seed)
    events, spikes = int(random.integers(2, 5)), int(random.integers(2, 6))
    return replace(hidden, faults=replace(hidden.faults, lose_every=events, lose_spikes_every=spikes))


def strange(seed: int) -> Hidden:
    """A chip whose thresholds are 20 to 60 higher than written: it follows no alternative where thresholds decide."""
    more, hidden = int(np.random.default_rng(3000 + seed).integers(20, 61)), draw(seed)

    def twist(layer: CoreLayer) -> CoreLayer:
        return replace(layer, threshold=min(layer.threshold + more, 2**15 - 1))

    return replace(hidden, character=replace(hidden.character, twist=twist))


def drawn_boards(name: str, make: Callable[[int], Hidden], boards: int) -> Counter[str]:
    """Answers that are right, open and wrong; prints a row."""
    found: Counter[str] = Counter()
    seconds, events, wrong = [], [], []
    for seed in range(boards):
        hidden = make(seed)
        answers = ask(hidden, QUESTIONS)
        seconds.append(answers.seconds)
        events.append(answers.events)
        for each in answers.answers:
            right = each.answer == hidden.truth()[each.name]
            kind = each.answer if each.answer in (NONE, VARIES, NOT_ASKED) else "right" if right else "wrong"
            found[kind] += 1
            if kind == "wrong":
                wrong.append(f"board {seed}, {each.name}: {each.answer}, hidden {hidden.truth()[each.name]}")
    print(
        f"| {name} | {boards} | {sum(found.values()):,} | {found['right']:,} | {found[NONE]} | {found[VARIES]} "
        f"| {found['wrong']} | {mean(events):,.0f} | {mean(seconds):.0f} s |",
        flush=True,
    )
    for line in wrong[:5]:
        print(f"| wrong: {line} |")
    return found


def figures(boards: int) -> None:
    """Speeds and energies of drawn boards, and how far what is measured lies from them."""
    apart: dict[str, list[tuple[float, float]]] = {}
    seconds, events = [], []
    for seed in range(boards):
        random = np.random.default_rng(4000 + seed)
        made: dict[str, Any] = {
            "synops_rate": 10 ** random.uniform(7, 8), "parallel_rate": 10 ** random.uniform(7.5, 8.3),
            "core_us": random.uniform(0.2, 3), "events_rate": 10 ** random.uniform(6, 6.5),
            "synop_j": random.uniform(1e-10, 5e-10), "spike_j": random.uniform(5e-10, 5e-9),
        }  # fmt: skip
        answers = ask(Hidden(character=Character(**made)), FIGURES)
        seconds.append(answers.seconds)
        events.append(answers.events)
        truth = {
            "synops_rate": made["synops_rate"], "synops_rate_parallel": made["parallel_rate"],
            "interface_rate": made["events_rate"], "monitor_rate": made["events_rate"], "core_delay": made["core_us"],
            "synop_j": made["synop_j"], "spike_j": made["spike_j"],
        }  # fmt: skip
        for name, value in truth.items():
            figure = answers.figure(name)
            if figure is not None:
                middle, off = (figure.low + figure.high) / 2, 100 * (figure.high - figure.low) / 2 / value
                apart.setdefault(name, []).append((100 * abs(middle / value - 1), off))
    print(f"\n{boards} boards with drawn speeds and energies: {mean(events):,.0f} events, {mean(seconds):.0f} s each")
    print("| figure | boards that gave it | its middle from the truth, mean | largest | half its range |")
    print("|---|---|---|---|---|")
    for name, rows in apart.items():
        off, half = [row[0] for row in rows], mean(row[1] for row in rows)
        print(f"| {name} | {len(rows)} | {mean(off):.2f} % | {max(off):.2f} % | {half:.2f} % |")


#: What is drawn, and how many boards of a hundred.
PARTS: dict[str, tuple[str, Callable[[int], Hidden], float]] = {
    "clean": ("all options drawn", clean, 1.0),
    "losing": ("and 2 to 11 % of events, 1 to 7 % of spikes lost", losing, 0.3),
    "badly": ("and 25 to 50 % of events, 20 to 50 % of spikes lost", badly, 0.1),
    "strange": ("thresholds 20 to 60 higher than written", strange, 0.1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=100, help="boards of the first row; the others are fewer")
    parser.add_argument("--part", choices=[*PARTS, "figures"], action="append", help="this alone; again for each")
    given = parser.parse_args()
    parts = given.part or [*PARTS, "figures"]
    print(machine())
    print(f"{len(QUESTIONS)} questions, 10 repeats each, again where they do not agree\n")
    print(
        "| fake boards | drawn | answers | right | none of these | varies | wrong | events | board's time |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    for name in (name for name in PARTS if name in parts):
        title, make, share = PARTS[name]
        drawn_boards(title, make, max(1, round(share * given.boards)))
    if "figures" in parts:
        figures(max(1, given.boards // 10))


if __name__ == "__main__":
    main()
