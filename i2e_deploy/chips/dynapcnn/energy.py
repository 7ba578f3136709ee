"""Power of a run, as an estimate with provenance, and the fit of its coefficients to a power monitor.

    P = P_idle + E_synop * synaptic operations / s + E_spike * spikes / s

P_idle is in the profile, per rail, as the vendor's notebook shows it. For E_synop and E_spike nothing public could be
verified, so there is no default: without coefficients the estimate is the idle power and says so; `calibrate_power`
fits them from readings of the chip's own power monitor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from i2e_deploy.chips.profile import Profile
from i2e_deploy.chips.trace import LayerCounts, Power
from i2e_deploy.errors import InputError

#: The processor's part of a board's rails; the pixels have two more.
PROCESSOR_RAILS = ("io", "ram", "logic")


@dataclass(frozen=True)
class Coefficients:
    """Joules per operation above idle, idle in watts, and where they come from.

    Args:
        idle_w: the processor's rails at rest.
        synop_j, spike_j: energy of one synaptic operation, of one spike.
        source: e.g. "power monitor, board 1234, 12 readings".
        residual_w: root mean square of what the fit leaves.
    """

    idle_w: float
    synop_j: float
    spike_j: float
    source: str
    residual_w: float = 0.0


@dataclass(frozen=True)
class Reading:
    """One stretch of steady work on the chip: events counted by the simulator or monitor, watts from the monitor."""

    synops_per_s: float
    spikes_per_s: float
    watts: float


def reading(counts: Mapping[str, LayerCounts], duration_s: float, power: Power) -> Reading:
    """What a board's power monitor read during a run whose operations the simulator counted.

    Args:
        counts: of the same inputs on the simulator, `Trace.counts`; a board does not count.
        duration_s: time that the inputs cover.
        power: `Trace.power` of the board; the rails of the processor alone enter, as in `estimate_power`.

    Raises:
        InputError: the duration is not positive, or a rail was not read.
    """
    missing = [name for name in PROCESSOR_RAILS if name not in power.rails_w]
    if duration_s <= 0 or missing:
        raise InputError(f"duration {duration_s} s, rails without a reading: {missing}; give a longer run")
    synops, spikes = (sum(getattr(count, name) for count in counts.values()) for name in ("synops", "spikes"))
    watts = sum(power.rails_w[name] for name in PROCESSOR_RAILS)
    return Reading(synops / duration_s, spikes / duration_s, watts)


@dataclass(frozen=True)
class PowerEstimate:
    """Average power over a run; `dynamic_w` is None where no coefficients are known."""

    idle_w: float
    dynamic_w: float | None
    source: str


def estimate_power(
    counts: Mapping[str, LayerCounts], duration_s: float, profile: Profile, coefficients: Coefficients | None = None
) -> PowerEstimate:
    """Average power of a run that took `duration_s` of the sensor's time.

    Raises:
        InputError: the duration is not positive.
    """
    if duration_s <= 0:
        raise InputError(f"duration is {duration_s} s: give the time that the events cover")
    if coefficients is None:
        rails = [profile.limit(f"idle_{name}_nw") for name in PROCESSOR_RAILS]
        idle = sum(rail.value for rail in rails if isinstance(rail.value, int)) * 1e-9
        return PowerEstimate(idle, None, f"{rails[0].source} [{rails[0].certainty}]; no energy per operation is public")
    synops = sum(count.synops for count in counts.values())
    spikes = sum(count.spikes for count in counts.values())
    dynamic = (coefficients.synop_j * synops + coefficients.spike_j * spikes) / duration_s
    return PowerEstimate(coefficients.idle_w, dynamic, coefficients.source)


def calibrate_power(readings: Sequence[Reading], source: str) -> Coefficients:
    """Least squares, none below zero, by trying every set of coefficients that stay.

    Raises:
        InputError: fewer than three readings, or readings that do not tell the terms apart.
    """
    table = np.array([[1.0, r.synops_per_s, r.spikes_per_s] for r in readings]).reshape(-1, 3)
    watts = np.array([r.watts for r in readings])
    scale = np.abs(table).max(axis=0, initial=0.0)
    if len(readings) < 3 or not scale.all() or np.linalg.matrix_rank(table / scale) < 3:
        raise InputError(
            f"{len(readings)} readings do not tell idle, synaptic operations and spikes apart: "
            "give three or more, at rest and with different networks"
        )
    best: tuple[float, np.ndarray[tuple[int], np.dtype[np.float64]]] | None = None
    for keep in ([0, 1, 2], [0, 1], [0, 2], [0]):
        solution = np.zeros(3)
        solution[keep] = np.linalg.lstsq(table[:, keep] / scale[keep], watts, rcond=None)[0] / scale[keep]
        error = float(np.sqrt(np.mean((table @ solution - watts) ** 2)))
        if (solution >= 0).all() and (best is None or error < best[0]):
            best = error, solution
    if best is None:
        raise InputError("readings fit no power that is zero or more: check their units (watts, per second)")
    error, (idle, synop, spike) = best
    return Coefficients(float(idle), float(synop), float(spike), source, error)
