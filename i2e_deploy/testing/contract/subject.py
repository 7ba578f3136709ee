"""What the suite is run on, and what is made of it once for all tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import pytest

from i2e_deploy.chips import PLAIN, AnyNetwork, Chip, LowerOptions, Program, Trace, get
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError

#: Samples and steps of the frames that are drawn.
SAMPLES, STEPS = 3, 8
#: Makes a network of a seed.
Draw = Callable[[int], AnyNetwork]
#: Makes frames for a network: (network, seed, samples, steps) -> integers [B, T, *input_shape].
Frames = Callable[[AnyNetwork, int, int, int], Integers]


@dataclass(frozen=True, eq=False)
class Refused:
    """A network that a chip cannot take, made when it is needed.

    Args:
        layer: name of the layer that the refusal must name; empty where it is the whole network.
        network: makes it.
    """

    layer: str
    network: Callable[[], AnyNetwork]


def _never(network: AnyNetwork) -> bool:
    return False


@dataclass(frozen=True, eq=False)
class Subject:
    """What to test.

    Args:
        chip: its name, as in its entry point.
        draw: a network of a seed that fits the chip: of every kind that the chip takes, small, so that the slow
            reference runs it in a moment. The same seed gives the same network.
        frames: inputs of a network on which some of its neurons fire.
        deployed: the network that the commands get: it fits, fires on `frames`, and takes event counts (C, H, W) with
            one or two channels where the chip can.
        too_large: networks that break a limit of the profile, by what is too large.
        unsupported: networks with a layer that has no counterpart on the chip, by what that is.
        semantics: those of `Program.semantics` to test.
        signed: whether a network takes negative values too, for chips whose input is not counts of events.
        seeds: networks that are drawn, from seed 0 on.
        options: what drawn networks are lowered with; a second subject tests what an option changes.

    Raises:
        InputError: nothing to test.
    """

    chip: str
    draw: Draw
    frames: Frames
    deployed: Callable[[], AnyNetwork]
    too_large: Mapping[str, Refused]
    unsupported: Mapping[str, Refused] = field(default_factory=dict)
    semantics: tuple[str, ...] = ("timestep",)
    signed: Callable[[AnyNetwork], bool] = _never
    seeds: int = 4
    options: LowerOptions = PLAIN

    def __post_init__(self) -> None:
        if self.seeds < 1 or not self.semantics or not self.too_large:
            raise InputError("a subject has a seed, one of the semantics and a network that is too large, at least")


@dataclass(frozen=True, eq=False)
class Drawn:
    """One network of a subject, lowered, and frames for it."""

    network: AnyNetwork
    program: Program
    frames: Integers


@lru_cache(maxsize=64)
def chip_of(subject: Subject) -> Chip:
    """The chip, as everybody finds it: by its name."""
    return get(subject.chip)


@lru_cache(maxsize=64)
def drawn(subject: Subject, seed: int) -> Drawn:
    """The network of that seed, and 3 samples of 8 steps; nobody changes them."""
    network = subject.draw(seed)
    frames = subject.frames(network, seed, SAMPLES, STEPS)
    frames.setflags(write=False)
    return Drawn(network, chip_of(subject).lower(network, subject.options), frames)


@lru_cache(maxsize=64)
def defined(subject: Subject, seed: int, semantics: str) -> Trace:
    """What the slow reference, the definition, makes of `drawn`."""
    case = drawn(subject, seed)
    return case.program.run(case.frames, semantics, "reference")


class Part:
    """What every part of the suite has: a subject, and a test for each of its seeds, semantics and networks."""

    subject: ClassVar[Subject]

    @property
    def chip(self) -> Chip:
        """The chip that is tested."""
        return chip_of(self.subject)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Ask pytest for a test a value: `seed`, `semantics`, `too_large` and `unsupported` come from the subject."""
        subject = self.subject
        for name, values in (
            ("seed", range(subject.seeds)),
            ("semantics", subject.semantics),
            ("too_large", subject.too_large),
            ("unsupported", subject.unsupported),
        ):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, tuple(values))
