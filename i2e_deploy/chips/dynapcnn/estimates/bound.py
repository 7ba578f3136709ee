"""How far the output of an asynchronous chip can move where nothing public, or nothing at all, fixes the order.

`bound` runs the same frames under every alternative of `EventOptions` and under many injection orders. What records of
real chips settled (the profile's `records`) is no alternative any more. The spread of what comes out is a bound that
was observed, not a proof; it is honest about the runs it came from.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.run import count, run, run_as_events
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions, alternatives, choices
from i2e_deploy.chips.options import Order
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import InputError
from i2e_deploy.events import Events


@dataclass(frozen=True)
class Variant:
    """One way to run.

    Args:
        name: `"timestep"`, `"default"`, `"sweep=feature"`, `"order=raster"`, `"shuffle 3"`.
        spikes: total per layer.
        changed: samples whose decision differs from the default's.
        largest_shift: largest difference of any output count of any sample from the default's.
    """

    name: str
    spikes: dict[str, int]
    changed: int
    largest_shift: int


@dataclass(frozen=True, eq=False)
class Bound:
    """The spread over all variants; the `timestep` variant is listed but not part of the spread.

    Args:
        variants: the default first.
        samples: how many were run.
        lowest, highest: int64 [B, N], output spikes over all steps.
        firm: bool [B], the decision is the same in every variant.
    """

    variants: tuple[Variant, ...]
    samples: int
    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]
    firm: NDArray[np.bool_]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "samples": self.samples,
            "firm": self.firm.tolist(),
            "lowest": self.lowest.tolist(),
            "highest": self.highest.tolist(),
            "variants": [asdict(variant) for variant in self.variants],
        }


def bound(
    program: CoreNetwork,
    given: Integers | Events,
    options: EventOptions | None = None,
    shuffles: int = 8,
    settled: Collection[str] = (),
) -> Bound:
    """Run frames [B, T, C, H, W] in `timestep`, in `event` by default, and in every alternative.

    What a board `settled` is no alternative; `options` are as it answered.

    A recording has an order of its own: then only what the chip leaves open varies, and `timestep` counts its events
    into steps of `options.step_us`.

    Raises:
        InputError: wrong frames, or a negative number of shuffles.
    """
    if shuffles < 0:
        raise InputError(f"shuffles is {shuffles}: give 0 or more")
    base = EventOptions() if options is None else options
    ways = {"default": base} | alternatives(base, settled)
    if given.dtype.names is None:
        frames = cast("Integers", given)
        ways |= {f"order={o}": replace(base, order=o) for o in _orders(base)}
        ways |= {f"shuffle {seed}": replace(base, order="shuffled", seed=seed) for seed in range(shuffles)}
    else:
        frames = count(program, cast("Events", given), base.step_us)
    default: Trace = run_as_events(program, given, options=base)
    reference = _output(default)
    lowest, highest = reference.copy(), reference.copy()
    firm, variants = np.ones(len(reference), np.bool_), []
    for name, way in ways.items():
        trace = default if name == "default" else run_as_events(program, given, options=way)
        output = _output(trace)
        lowest, highest = np.minimum(lowest, output), np.maximum(highest, output)
        firm &= trace.decisions() == default.decisions()
        variants.append(_variant(name, trace, default))
    if not program.counts_events:
        variants.append(_variant("timestep", run(program, frames), default))
    return Bound(tuple(variants), len(reference), lowest, highest, firm)


def _orders(base: EventOptions) -> list[Order]:
    return [order for order in choices()["order"] if order not in (base.order, "shuffled")]  # type: ignore[misc]


def _output(trace: Trace) -> NDArray[np.int64]:
    return np.asarray(trace.output.sum(axis=1, dtype=np.int64))


def _variant(name: str, trace: Trace, default: Trace) -> Variant:
    return Variant(
        name,
        {layer: counts.spikes for layer, counts in trace.counts.items()},
        int((trace.decisions() != default.decisions()).sum()),
        int(np.abs(_output(trace) - _output(default)).max(initial=0)),
    )
