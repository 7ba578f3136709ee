"""Power of a run, as an estimate with provenance, and the fit of its coefficients to a power monitor.

    P = P_rest + E_synop * synaptic operations / s + E_spike * spikes / s

P_rest, per rail, and E_synop are in the profile, as ranges that public measurements span; what a spike costs is in
E_synop there, since they cannot be told apart. `calibrate_power` fits all three to readings of a board's own power
monitor, which then replace the profile's. A profile without E_synop gives the power at rest and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from i2e_deploy.chips.costs import Figure
from i2e_deploy.chips.profile import CERTAINTIES, Profile
from i2e_deploy.chips.trace import LayerCounts, Power
from i2e_deploy.errors import InputError

#: The processor's part of a board's rails; the pixels have two more.
PROCESSOR_RAILS = ("io", "ram", "logic")
PIXEL_RAILS = ("pixel_digital", "pixel_analog")
#: Said where no coefficients are given: for a profile with an energy of an operation, and for one without.
NOT_YOUR_BOARD = (
    "dynamic power of your own board: fit it to the board's power monitor with `i2e-deploy calibrate-power` and give "
    "the file with --power-coefficients; ticks of the slow clock, camera and readout are in no figure"
)
NO_COEFFICIENTS = (
    "dynamic power: no energy per operation of this chip is public; fit it to your board's power monitor with "
    "`i2e-deploy calibrate-power` and give the file with --power-coefficients"
)


@dataclass(frozen=True)
class Coefficients:
    """Joules per operation above rest, power at rest in watts, and where they come from.

    Args:
        idle_w: the processor's rails at rest, with the monitor's offset.
        synop_j, spike_j: energy of one synaptic operation, of one spike.
        source: e.g. "power monitor, board 1234".
        readings: that they were fitted to.
        residual_w: root mean square of what the fit leaves.
    """

    idle_w: float
    synop_j: float
    spike_j: float
    source: str
    readings: int = 0
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
        power: `Trace.power` of the board; the rails of the processor alone enter, as in `power_figures`.

    Raises:
        InputError: the duration is not positive, or a rail was not read.
    """
    missing = [name for name in PROCESSOR_RAILS if name not in power.rails_w]
    if duration_s <= 0 or missing:
        raise InputError(f"duration {duration_s} s, rails without a reading: {missing}; give a longer run")
    synops, spikes = (sum(getattr(count, name) for count in counts.values()) for name in ("synops", "spikes"))
    watts = sum(power.rails_w[name] for name in PROCESSOR_RAILS)
    return Reading(synops / duration_s, spikes / duration_s, watts)


def power_figures(
    counts: Mapping[str, LayerCounts],
    samples: int,
    seconds: float,
    profile: Profile,
    coefficients: Coefficients | None = None,
) -> tuple[Figure, ...]:
    """Average power, and energy of a sample, of the processor: by the coefficients of a board, else by the profile.

    Args:
        counts: of all samples.
        seconds: of the sensor's time, a sample.
        coefficients: of a board; None: the profile's ranges, and where it has no energy of an operation, rest alone.

    Raises:
        InputError: the duration is not positive.
    """
    if seconds <= 0 or samples < 1:
        raise InputError(f"{samples} samples of {seconds} s: give the time that the events cover")
    rails = {name: _rail(name, profile) for name in (*PROCESSOR_RAILS, *PIXEL_RAILS)}
    pixels = _sum("power at rest, the chip's own pixels", [rails[name] for name in PIXEL_RAILS])
    if coefficients is None:
        rest = _sum("power at rest, processor", [rails[name] for name in PROCESSOR_RAILS])
        synops_per_s = sum(count.synops for count in counts.values()) / (samples * seconds)
        told = _dynamic(rest, synops_per_s, seconds, profile)
        return (*(rails[name] for name in PROCESSOR_RAILS), rest, pixels, *told)

    def of(name: str, value: float, unit: tuple[str, float] = ("mW", 1e3), off: float = 0.0) -> Figure:
        low, high = unit[1] * max(value - off, 0.0), unit[1] * (value + off)
        return Figure(name, low, high, unit[0], "calibrated", (coefficients.source,))

    synops = coefficients.synop_j * sum(count.synops for count in counts.values()) / (samples * seconds)
    spikes = coefficients.spike_j * sum(count.spikes for count in counts.values()) / (samples * seconds)
    total, off = coefficients.idle_w + synops + spikes, coefficients.residual_w
    return (
        of("power at rest, processor", coefficients.idle_w),
        of("dynamic power, synaptic operations", synops),
        of("dynamic power, spikes", spikes),
        of("power, processor", total, off=off),
        pixels,
        of("energy a sample", total * seconds, ("uJ", 1e6), off * seconds),
        of("dynamic energy a sample", (synops + spikes) * seconds, ("uJ", 1e6)),
    )


def _dynamic(rest: Figure, synops_per_s: float, seconds: float, profile: Profile) -> tuple[Figure, ...]:
    """Figures of a processor at work, from the profile's energy of an operation; of one at rest where it has none."""
    if "synop_energy" not in profile.estimates:
        return (_scaled("energy a sample, at rest alone", rest, 1e3 * seconds, "uJ"),)
    energy = profile.estimate("synop_energy")
    ends = (1e-9 * energy.low * synops_per_s, 1e-9 * energy.high * synops_per_s)  # pJ / s in mW
    work = Figure("dynamic power, synaptic operations", *ends, "mW", energy.certainty, (energy.source,))
    power = _sum("power, processor", [rest, work])
    return (
        work,
        power,
        _scaled("energy a sample", power, 1e3 * seconds, "uJ"),
        _scaled("dynamic energy a sample", work, 1e3 * seconds, "uJ"),
    )


def _scaled(name: str, figure: Figure, factor: float, unit: str) -> Figure:
    return replace(figure, name=name, low=factor * figure.low, high=factor * figure.high, unit=unit)


def _rail(name: str, profile: Profile) -> Figure:
    found = profile.estimate(f"idle_{name}")
    title = f"power at rest, rail {name.replace('_', ' ')}"
    return Figure(title, found.low * 1e-3, found.high * 1e-3, "mW", found.certainty, (found.source,))


def _sum(name: str, parts: Sequence[Figure]) -> Figure:
    """Of figures in one unit, with the weakest certainty among them."""
    low, high = sum(part.low for part in parts), sum(part.high for part in parts)
    certainty = max((part.certainty for part in parts), key=CERTAINTIES.index)
    sources = dict.fromkeys(source for part in parts for source in part.sources)
    return Figure(name, low, high, parts[0].unit, certainty, tuple(sources))


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
            f"{len(readings)} readings cannot separate rest, synaptic operations and spikes: "
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
    return Coefficients(float(idle), float(synop), float(spike), source, len(readings), error)
