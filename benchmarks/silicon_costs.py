"""Measured power of Speck2f, one source predicting the other, and published mappings of Loihi 2 beside our model.

Called by `silicon.py`, which says where the data are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2 import read_netx
from i2e_deploy.chips.loihi2.checks.partition import Demand, cut, demand_of
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.profile import Profile, load_profile

#: Mean power of a run of 100 recordings, uW of io, ram, logic, and recordings a second: inNuCE_BRANDY-2025,
#: saved_models/all_results.json, Speck2f development kit. Rest is in the power.
EIGHT_POWERS = {
    "100": (54.72, 186.89, 550.78, 0.80993), "70": (53.24, 160.55, 454.53, 0.81543),
    "50": (50.51, 135.40, 461.16, 0.81978), "10": (46.64, 86.17, 376.64, 0.82932), "5": (47.10, 89.72, 391.39, 0.82781),
    "4": (46.81, 89.51, 386.84, 0.82796), "3": (47.69, 94.61, 381.14, 0.82763), "1": (48.22, 100.15, 404.77, 0.82598),
}  # fmt: skip
#: Runs of `power_series.npz` with 50 readings a second and rail, so that the first recording can be told from the rest;
#: two more runs hold the data of the last again, two have 10 readings a second.
RUNS, PERIOD_S = ("d4a1528", "90f4523"), 0.02
RAILS = ("io", "ram", "logic")


def first_recording(series: Mapping[str, NDArray[np.float64]], run: str) -> tuple[dict[str, float], dict[str, float]]:
    """Power at rest, uW, and energy above it of the first recording, uJ, by rail.

    The stop watch starts anew at every recording: the first lasts from the first reset of the time to the second.
    Readings come in bursts, so their number times the period is the time.
    """
    rest, energy = {}, {}
    for rail, name in enumerate(RAILS):
        idle, active = (rows[rows[:, 0] == rail] for rows in (series[f"{run}_0"], series[f"{run}_1"]))
        rest[name] = 1e6 * float(idle[:, 1].mean())
        resets = np.flatnonzero(np.diff(active[:, 2]) < 0)
        during = active[resets[0] + 1 : resets[1] + 1, 1]
        energy[name] = float((1e6 * during - rest[name]).sum()) * PERIOD_S
    return rest, energy


def power_tables(path: Path, first_work: int, work: Mapping[str, float]) -> None:
    """What each source gives, and each predicted from the other.

    Args:
        first_work: synaptic operations of the first recording of the series.
        work: of a recording of each of the eight networks.
    """
    with np.load(path, allow_pickle=False) as file:
        series = {name: file[name] for name in file.files}
    profile = load_profile("speck2f")
    print(f"\nSpeck2f, energy above rest of the first recording, {first_work:,} synaptic operations")
    print("| run | rest, uW (io / ram / logic) | energy, uJ | pJ a synaptic operation |\n|---|---|---|---|")
    coefficients, rests, energies = [], [], []
    for run in RUNS:
        rest, energy = first_recording(series, run)
        rests.append(sum(rest.values()))
        energies.append(sum(energy.values()))
        coefficients.append(1e6 * energies[-1] / first_work)
        told = (" / ".join(f"{values[name]:,.0f}" for name in RAILS) for values in (rest, energy))
        print(f"| {run} | {' | '.join(told)} | {coefficients[-1]:.0f} |")
    names = [name for name in EIGHT_POWERS if name in work]
    if len(names) < 3:
        print("eight networks: fewer than three are here, nothing is fitted")
        return
    rates = np.array([work[name] * EIGHT_POWERS[name][3] for name in names])
    watts = np.array([sum(EIGHT_POWERS[name][:3]) for name in names])
    _predict_eight(names, rates, watts, float(np.mean(rests)), float(np.mean(coefficients)), profile)
    rest_uw, energy_pj = _fit(rates, watts)
    print(
        f"\nfitted to these {len(names)}: {rest_uw:.0f} uW at rest, {energy_pj:.0f} pJ an operation; they predict for"
    )
    for run, measured in zip(RUNS, energies, strict=True):
        predicted = 1e-6 * energy_pj * first_work
        print(
            f"  the first recording, {run}: {predicted:,.0f} uJ above rest, measured {measured:,.0f}: "
            f"{_off(predicted, measured)}"
        )
    left_out = [_fit(np.delete(rates, i), np.delete(watts, i)) for i in range(len(names))]
    off = [100 * ((rest + 1e-6 * e * rates[i]) / watts[i] - 1) for i, (rest, e) in enumerate(left_out)]
    print(f"  each network from the {len(names) - 1} others: {min(off):+.1f} to {max(off):+.1f} %")


def _predict_eight(
    names: list[str],
    rates: NDArray[np.float64],
    watts: NDArray[np.float64],
    rest: float,
    energy: float,
    profile: Profile,
) -> None:
    """Power of the eight networks from the other source, and from the profile's range."""
    low, high = (
        sum(getattr(profile.estimate(f"idle_{rail}"), end) for rail in RAILS)
        + 1e-6 * getattr(profile.estimate("synop_energy"), end) * rates
        for end in ("low", "high")
    )
    print("\nSpeck2f, power of io, ram and logic of eight networks, uW: predicted from the power series alone, of one")
    print(f"network ({rest:.0f} uW at rest, {energy:.0f} pJ), and the profile's range, which spans both sources")
    print(
        "| network | M synops/s | measured | from the series | off | profile | within |\n|---|---|---|---|---|---|---|"
    )
    for i, name in enumerate(names):
        predicted = rest + 1e-6 * energy * rates[i]
        within = "yes" if low[i] <= watts[i] <= high[i] else "no"
        print(
            f"| {name} | {rates[i] / 1e6:.2f} | {watts[i]:.0f} | {predicted:.0f} | {_off(predicted, watts[i])} "
            f"| {low[i]:.0f} to {high[i]:.0f} | {within} |"
        )


def _fit(rates: NDArray[np.float64], watts: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares: uW at rest, pJ a synaptic operation."""
    table = np.stack([np.ones_like(rates), 1e-6 * rates], axis=1)
    rest, energy = np.linalg.lstsq(table, watts, rcond=None)[0]
    return float(rest), float(energy)


def _off(predicted: float, measured: float) -> str:
    return f"{100 * (predicted / measured - 1):+.1f} %"


def _conv(*rows: tuple[int, int, int, int, int]) -> list[Demand]:
    """Convolutions as (channels, height, width, taps, weight bits)."""
    return [Demand("conv", (c, h, w), (taps,), (bits,), (False,), (False,)) for c, h, w, taps, bits in rows]


def _full(*rows: tuple[int, int, int]) -> list[Demand]:
    """Dense layers as (outputs, inputs, weight bits)."""
    return [Demand("dense", (out,), (given,), (bits,), (True,), (False,)) for out, given, bits in rows]


_PILOT = [
    *_conv((24, 32, 99, 27, 5), (36, 15, 49, 216, 4), (48, 7, 24, 324, 4), (64, 4, 22, 432, 4), (64, 2, 20, 576, 4)),
    *_full((100, 2560, 3), (50, 100, 4), (10, 50, 5), (1, 10, 6)),
]
_YOLO = (
    (16, 224, 27), (32, 112, 144), (64, 56, 288), (128, 28, 576), (256, 28, 1152), (256, 14, 2304), (512, 14, 2304),
    (256, 14, 512), (512, 14, 2304), (48, 14, 512),
)  # fmt: skip
#: Layers and cores that Intel's compiler printed: lava-dl's tutorials, netx. Weight bits are those of the trained files
#: (PilotNet), 8 (oxford), or not printed and taken as 4.
PRINTED: dict[str, tuple[Iterable[Demand], int, bool]] = {
    "PilotNet LIF": ((Demand("input", (3, 66, 200)), *_PILOT), 74, True),
    "PilotNet SDNN": (_PILOT, 61, True),
    "YOLO-KP": (_conv(*((c, s, s, taps, 4) for c, s, taps in _YOLO)), 574, True),
    "MNIST": (_full((128, 784, 4), (64, 128, 3), (10, 64, 4)), 5, True),
    "oxford": (_full((256, 200, 8), (200, 256, 8)), 5, True),
}
#: stevenabreu7/dvs_flow, 1536-512-2 with delays: 12 neurons a core.
DVS_FLOW = 44


def cores_table(dvs_flow: Path | None) -> None:
    """Our model of the compiler beside every mapping that is published; it was fitted to all but the last."""
    profile = load_profile("loihi2")
    rows = dict(PRINTED)
    if dvs_flow is not None and dvs_flow.exists():
        rows["dvs_flow 512"] = ([demand_of(layer) for layer in layers_of(read_netx(dvs_flow), "chip")], DVS_FLOW, False)
    print("\nLoihi 2, cores: Intel's compiler and our model of it")
    print("| network | compiler | ours | off | in the fit | ours, layer by layer |\n|---|---|---|---|---|---|")
    for name, (demands, printed, fitted) in rows.items():
        found = [cut(demand, profile) for demand in demands]
        cores = [piece.cores for piece in found if piece is not None]
        split = " + ".join(f"{piece.cores} x {piece.neurons:,} neurons" for piece in found if piece is not None)
        print(
            f"| {name} | {printed} | {sum(cores)} | {_off(sum(cores), printed)} | {'yes' if fitted else 'no'} "
            f"| {split} |"
        )
    if "dvs_flow 512" not in rows:
        print("| dvs_flow 512 | 44 | | | no | the network is not here |")
