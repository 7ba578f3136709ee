"""How the board target runs a program."""

from __future__ import annotations

from dataclasses import dataclass, field

from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.targets.board.calls import LIMIT_S
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr


@dataclass(frozen=True)
class BoardOptions:
    """Which board, what it reports, and how long we wait for it.

    Args:
        name: as samna names boards, e.g. `"Speck2fDevKit"` or `"Speck2fDevKit:1"`; None: the first that is free.
        monitor: layers whose spikes are read back; None: those that leave the network. Each takes bandwidth.
        events: how frames become events: `order`, `step_us`, `seed`. The rest is the chip's own affair.
        lead_us: time between the start of the stop watch and the first event, for the first transfer; 0..2^30.
        ahead_us: events are handed over at most so long before they are due; 1..2^30.
        quiet_s: a sample has ended when the chip has been silent for so long after its last event.
        settle_s: pause after the configuration is written, as Sinabs makes it.
        timeout_s: longest wait for an answer of the board.
        call_s: longest time that one call of samna may take; see `calls`.
        power_hz: readings of the power monitor a second, 0 (none) to 100.

    Raises:
        InputError: a value out of its range.
    """

    name: str | None = None
    monitor: tuple[str, ...] | None = None
    events: EventOptions = field(default_factory=EventOptions)
    lead_us: int = 20_000
    ahead_us: int = 500_000
    quiet_s: float = 0.02
    settle_s: float = 1.0
    timeout_s: float = 5.0
    call_s: float = LIMIT_S
    power_hz: float = 100.0

    __repr__ = record_repr

    def __post_init__(self) -> None:
        ranges = {
            "lead_us": (0, 2**30),
            "ahead_us": (1, 2**30),
            "quiet_s": (0, 60),
            "settle_s": (0, 60),
            "timeout_s": (0.01, 600),
            "call_s": (0.01, 3600),
            "power_hz": (0, 100),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"board option {name} is {getattr(self, name)}: give {low} to {high}")
