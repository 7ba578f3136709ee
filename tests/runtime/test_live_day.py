"""A minute and a half of the day of `benchmarks/live_day.py`: 90 M events, three faults of each kind, nothing lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import live_day


@pytest.mark.parametrize("policy", ["drop", "merge"])
def test_every_event_of_a_hasty_day_is_in_a_counter(policy: str) -> None:
    outcome = live_day.run(live_day.small_program(), 90, 1e6, 30, policy, lambda line: None, pause=0.005)
    faults, stats = outcome.ledger.faults, outcome.stats
    assert faults == dict.fromkeys(live_day.KINDS, 3)
    assert outcome.ledger.sent == stats["events"] > 80_000_000
    assert outcome.unaccounted == 0
    assert stats["lost"] == 3
    assert stats["epochs"] > 6  # unplugged, gone back, and garbage that looks like times
    assert stats["late"] > 2000  # garbage that looks like none
    assert stats["decisions"] > 10
    # The allocator comes to its level in steps of 12 to 25 MiB, 50 in all (live_day.txt); the events are 1.2 GB.
    grown = outcome.memory[-1] - outcome.memory[0]
    assert grown < 2**26, f"{grown / 2**20:.0f} MiB in two thirds of the session"
