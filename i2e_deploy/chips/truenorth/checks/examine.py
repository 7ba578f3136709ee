"""Every layer against every rule, and its cores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.check import CheckReport, Finding, Severity, Slot, note_findings
from i2e_deploy.chips.evidence import evidence_findings
from i2e_deploy.chips.profile import Profile
from i2e_deploy.chips.truenorth.lowering.lower import Lowered, Made
from i2e_deploy.chips.truenorth.program import AXONS, NEURONS, CoreNetwork
from i2e_deploy.network.graph import Network
from i2e_deploy.text import counted

#: What to do where a value is above its limit.
FIXES = {
    "threshold": "the threshold is too many times the smallest weight: train with larger weights or a lower threshold",
    "leak": "a bias is added as the leak: train without bias, or with larger weights beside it",
    "floor": "the lower bound is too far below: raise min_v, or leave it out",
    "delay": "a spike waits for a way round of too many layers: shorten it",
}
TOO_MANY = "use fewer inputs a neuron (grouped convolutions, smaller kernels), or give the sum in parts (--split)"
#: From here on a loss is worth a warning, %.
LARGE = 5.0


def examine(network: Network, lowered: Lowered, profile: Profile, program: CoreNetwork | None) -> CheckReport:
    """All findings; `program`: what was made of the network, if not by lowering it now."""
    notes = note_findings(network.notes)
    if lowered.problems:
        wanted = "weights, and neurons without exponential leak"
        rows = [Finding("structure", name, text, wanted, "", "error") for name, text in lowered.problems]
        return CheckReport(profile.name, (), (*rows, *notes), ())
    rows = [finding for made in lowered.made for finding in _of_layer(made, lowered, profile)]
    names = tuple(made.name for made in lowered.made)
    cores = program or lowered.network
    if cores is None:
        return CheckReport(profile.name, names, (*rows, *notes), ())
    names = tuple(layer.name for layer in cores.layers)
    rows += _of_cores(cores, profile)
    slots = _slots(cores, profile) if len(cores.cores) <= len(profile.cores) else ()
    rows += evidence_findings(profile, _touched(cores))
    return CheckReport(profile.name, names, (*rows, *notes), slots)


def _of_layer(made: Made, lowered: Lowered, profile: Profile) -> list[Finding]:
    rows = []
    limit = profile.limit("axons")
    fits = made.axons <= AXONS or made.parts.neurons > 0
    rows.append(Finding("axons", made.name, made.axons, AXONS, limit.unit, "ok" if fits else "error",
                        "" if fits else TOO_MANY, limit.source))  # fmt: skip
    for rule, fix in FIXES.items():
        limit, value = profile.limit(rule), max(made.numbers[rule], 0)
        assert isinstance(limit.value, int)
        over = value > limit.value
        rows.append(Finding(rule, made.name, value, limit.value, limit.unit, "error" if over else "ok",
                            fix if over else "", limit.source))  # fmt: skip
    ticks, broken = made.warm_up
    if broken:
        text = "their leak runs before the first spikes can come, and they fire or meet their lower bound by then"
        fix = "use a smaller bias or start beside the threshold, or put the layer nearer to the input"
        rows.append(Finding("warm-up", made.name, f"{counted(broken, 'neuron')} in {counted(ticks, 'tick')}: {text}",
                            "", "", "error", fix))  # fmt: skip
    if made.name in lowered.several:
        text = "its neurons send several spikes in a step in the float network, here one a tick, the rest later"
        rows.append(Finding("one spike a tick", made.name, text, "", "", "warning", "train with max_spikes=1"))
    return [*rows, *_losses(made), *_parts(made)]


def _losses(made: Made) -> list[Finding]:
    loss = made.loss
    if loss.exact == loss.neurons:
        text = f"nothing: all weights, thresholds and biases are whole numbers of a unit (to {loss.levels})"
        return [Finding("loss", made.name, text, "", "", "info")]
    if loss.exact + loss.near == loss.neurons:
        text = (
            f"weights, thresholds and biases are whole numbers of a unit (to {loss.levels}) but for float32's rounding "
            f"in {loss.near} of {loss.neurons} neurons: the float network's own sums are rounded, spikes may differ"
        )
        return [Finding("loss", made.name, text, "", "", "info", "use units that are powers of two")]
    worst = max(loss.weight_error, loss.threshold_error, loss.bias_error)
    text = (
        f"weights of -{loss.levels} to {loss.levels}, {loss.exact + loss.near} of {loss.neurons} neurons whole; errors "
        f"of weights {loss.weight_error:.2g} %, threshold {loss.threshold_error:.2g} %, bias {loss.bias_error:.2g} %"
    )
    severity: Severity = "warning" if worst > LARGE else "info"
    return [Finding("loss", made.name, text, "", "", severity, "train within the constraint: weights -1, 0, 1")]


def _parts(made: Made) -> list[Finding]:
    parts = made.parts
    if not parts.neurons:
        return []
    text = f"{counted(parts.neurons, 'neuron')}, in up to {counted(parts.parts, 'part')}, each from -{parts.reach} to "
    text += f"{parts.reach} units of the weights; a part can be {parts.largest}: "
    text += "exact" if parts.exact else "what is beyond is lost, so it is exact only on input where none is"
    severity: Severity = "info" if parts.exact else "warning"
    fix = "" if parts.exact else "see what `check --input` says of this input, or use fewer inputs"
    return [Finding("sums in parts", made.name, text, "", "", severity, fix)]


def _of_cores(cores: CoreNetwork, profile: Profile) -> list[Finding]:
    rows, source = [], profile.cores_source
    for layer in cores.layers:
        sizes = cores.cores.sizes[layer.first : layer.last]
        text = f"{int(sizes.sum()):,} for {layer.size:,} values"
        rows.append(Finding("neurons", layer.name, text, "", "", "info", "", source))
        rows.append(Finding("cores", layer.name, layer.last - layer.first, len(profile.cores), "cores", "ok", "",
                            source))  # fmt: skip
    total = len(cores.cores)
    fits = total <= len(profile.cores)
    fix = "" if fits else "use fewer channels, larger strides, or fewer axons an input (trinary weights)"
    rows.append(Finding("cores", "", total, len(profile.cores), "cores", "ok" if fits else "error", fix, source))
    for board in profile.boards:
        room = board.chips * len(profile.cores)
        rows.append(Finding(f"cores of {board.name}", "", f"{total} of {room}", room, "cores", "info", "",
                            board.source))  # fmt: skip
    return rows


def _slots(cores: CoreNetwork, profile: Profile) -> tuple[Slot, ...]:
    """Cores stand in the order of the layers, row by row of the chip."""
    made, available = cores.cores, profile.cores[0].memory
    axons = axons_of(cores)
    bits = np.unpackbits(made.crossbar.reshape(len(made), -1), axis=1).sum(axis=1)
    return tuple(
        Slot(layer.name, core, {"axons": int(axons[core]), "neurons": int(made.sizes[core]),
                                "synapses": int(bits[core])}, available)
        for layer in cores.layers for core in range(layer.first, layer.last)
    )  # fmt: skip


def axons_of(cores: CoreNetwork) -> NDArray[np.int64]:
    """Axons of every core that anything reaches, int64 [K]."""
    reached = np.unique(np.concatenate([cores.input_axon, cores.cores.target[cores.cores.target >= 0]]))
    return np.bincount(reached // AXONS, minlength=len(cores.cores))


def _touched(cores: CoreNetwork) -> list[str]:
    """Open points that matter for a program."""
    made = cores.cores
    exists = np.arange(NEURONS)[None] < made.sizes[:, None]
    found = ["potential", "input", "routing"]
    found += ["ringing"] if (made.leak_reversal.astype(bool) & exists).any() else []
    found += ["random"] if made.stochastic.any() else []
    return [*found, "reset_value"] if (made.reset_value[exists] != 0).any() else found
