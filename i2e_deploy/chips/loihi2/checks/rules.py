"""Rules for one block: what the chip's words hold, and where netx and Lava would compute other numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from i2e_deploy.chips.check import Finding, Severity
from i2e_deploy.chips.deciding import COUNT
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.chips.loihi2.program import (
    Block,
    BlockNetwork,
    ConvSynapse,
    CubaLif,
    DenseSynapse,
    Resonator,
    never_fires,
)
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.reference.lava_weights import lava_bias, lava_decay, lava_dense, zeros_at_the_end
from i2e_deploy.chips.loihi2.relay import Programmable, message_step
from i2e_deploy.chips.profile import Profile
from i2e_deploy.errors import UnsupportedError

Rule = Callable[[BlockNetwork, Block, Profile], Iterator[Finding]]
_LAVA = "equal"
#: Largest range of weights that is counted value by value.
MOST_VALUES = 2**21
#: Weights that are counted at once: half a MiB, which a cache holds.
AT_ONCE = 2**16


def _limit(
    profile: Profile, key: str, rule: str, block: Block, value: int, fix: str, bad: Severity = "error"
) -> Finding:
    limit = profile.limit(key)
    severity: Severity = "ok" if limit.allows(value) else bad
    return Finding(
        rule, block.name, value, str(limit), limit.unit, severity, "" if severity == "ok" else fix, limit.source
    )


def _without_lava(network: BlockNetwork) -> bool:
    """Whether it holds neurons that neither Lava nor SLAYER has: what these would compute is no question then."""
    return any(isinstance(block.neuron, Programmable) for block in network.blocks)


def weights(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """Range and grid of the weights."""
    for connection in block.connections:
        if connection.synapse is None:
            continue
        weight = connection.synapse.weight
        low, high = int(weight.min()), int(weight.max())
        least = int(str(profile.limit("weight_low")))
        good = least <= low and profile.limit("weight_high").allows(high)
        fix = "scale the layer's weights, threshold and bias down together"
        value = f"{low}..{high}"
        limit = f"{least}..{profile.limit('weight_high')}"
        yield Finding("weights", block.name, value, limit, "", "ok" if good else "error", "" if good else fix)
        if low < 0 < high and zeros_at_the_end(weight) == 0:
            text = "weights of both signs are even on the chip (7 bits and a sign): train with SLAYER's quantiser"
            yield Finding("weight grid", block.name, "odd weights", "even", "", "warning", text)


def lava_weights(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """Whether netx and Lava keep dense weights as they are; where Lava lacks a neuron, it computes none."""
    if _without_lava(network):
        return
    dense = [c for c in block.connections if isinstance(c.synapse, DenseSynapse)]
    recurrent = any(c.source == block.name for c in dense)
    groups = [dense] if recurrent and dense else [[c] for c in dense]
    for group in groups:
        found = [_values_of(c.synapse.weight) for c in group if c.synapse is not None]
        before = [values[None] for values, _ in found]  # a weight alone says, beside the largest, what becomes of it
        try:
            after, shift = lava_dense(*before)
        except UnsupportedError:
            yield Finding(
                "Lava weights",
                block.name,
                "all 0",
                "not all 0",
                "",
                "warning",
                "netx cannot load it; `export` corrects it",
            )
            continue
        changed = sum(
            int(counts[(b << max(shift, 0) != a)[0]].sum())
            for b, a, (_, counts) in zip(before, after, found, strict=True)
        )
        fix = "netx and Lava would use other weights (see docs/loihi2.md); `export` adds a neuron that prevents it"
        yield Finding(
            "Lava weights", block.name, f"{changed} changed" if changed else _LAVA, _LAVA, "",
            "warning" if changed else "ok", fix if changed else "",
        )  # fmt: skip


def _values_of(weight: Ints) -> tuple[Ints, Ints]:
    """The different weights, and how often each is there; a row at a time, as a sort of 10^8 would take a minute."""
    low, high = int(weight.min()), int(weight.max())
    if high - low > MOST_VALUES:
        values, counts = np.unique(weight, return_counts=True)
        return values, counts
    seen = np.zeros(high - low + 1, np.int64)
    rows = max(1, AT_ONCE // weight.shape[1])
    for start in range(0, len(weight), rows):
        seen += np.bincount((weight[start : start + rows] - low).reshape(-1), minlength=len(seen))
    return np.flatnonzero(seen) + low, seen[seen > 0]


def neuron_words(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """Threshold, bias and decay in their fields."""
    threshold = getattr(block.neuron, "threshold", None)
    if threshold is not None and message_step(block.neuron) is None:  # what sends its voltage compares nothing
        fix = "scale weights and threshold down together"
        yield _limit(
            profile,
            "threshold",
            "threshold",
            block,
            int(np.max(threshold)),
            "it never fires: read its state" if never_fires(block) else fix,
            "warning",
        )
    if isinstance(block.neuron, (CubaLif, ProgrammableLif)) and int(block.neuron.voltage_decay.max()) == 4096:
        text = "Lava accepts 4096; the field is documented as 0..4095: unverified on the chip"
        yield Finding("voltage decay", block.name, 4096, 4095, "parts of 4096", "info", text)
    if block.bias is not None:
        value = int(np.abs(block.bias).max())
        yield _limit(
            profile, "bias", "bias", block, value, "Lava wraps beyond 16 bits in silence; scale down", "warning"
        )
        if (lava_bias(block.bias) != block.bias).any():
            yield Finding(
                "bias", block.name, value, 32767, "", "error", "Lava keeps 16 bits and wraps: scale the layer down"
            )


def programmable_neuron(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """What only a neuron program of its own can do, and how well that is known."""
    neuron = block.neuron
    if not isinstance(neuron, Programmable):
        return
    limit, needs = profile.limit("programmable_neurons"), neuron.beyond_standard()
    severity: Severity = "warning" if limit.allows(1) else "error"
    fix = (
        "needs a neuron program (microcode) that nobody has published or run on silicon; no fixed_pt model of Lava "
        "computes it, so there is no .net file and no target lava: the simulator alone runs it"
    )
    if not limit.allows(1):
        fix = "this chip has no programmable neurons: use CubaLif"
    elif not needs:
        fix = "CubaLif computes the same and needs no program: use it"
    yield Finding(
        "programmable neuron", block.name, ", ".join(needs) or "as the standard neuron",
        "", "", severity, fix, limit.source,
    )  # fmt: skip


def resonator_decay(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """netx turns the decays to floats and back."""
    if isinstance(block.neuron, Resonator):
        given = (block.neuron.sin_decay, block.neuron.cos_decay)
        after = lava_decay(*given)
        fix = "" if after == given else "netx rounds through floats: set the process's sin_decay and cos_decay by hand"
        yield Finding("Lava decay", block.name, str(after), str(given), "", "ok" if after == given else "warning", fix)


def delays(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """Longest delay, and delays that no `.net` file can carry."""
    for connection in block.connections:
        if connection.synapse is None or connection.synapse.delay is None:
            continue
        yield _limit(profile, "delay", "delay", block, int(connection.synapse.delay.max()), "shorten the delays")
        if isinstance(connection.synapse, ConvSynapse) and not _without_lava(network):
            text = "netx ignores delays of convolutions: train them without, or only simulate"
            yield Finding("Lava delay", block.name, "acts here", "ignored", "", "warning", text)


def messages(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """Bits a spike carries."""
    yield _limit(profile, "message_bits", "message bits", block, block.message_bits, "send fewer bits")
    neuron = block.neuron
    if isinstance(neuron, ProgrammableLif) and neuron.sends == "spikes" and neuron.max_spikes not in (1, "any"):
        most = 2 ** (block.message_bits - 1) - 1  # a message is signed
        if neuron.max_spikes > most:
            fix = "raise message_bits or lower max_spikes"
            yield Finding("most spikes", block.name, neuron.max_spikes, most, "spikes a message", "error", fix)


def time_shift(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """What SLAYER computes otherwise than the chip (docs/loihi2.md has the cases)."""
    if not isinstance(block.neuron, CubaLif) or block.bias is None or not block.bias.any() or _without_lava(network):
        return
    if any(c.synapse is None for b in network.blocks for c in b.connections):
        return  # with an input layer SLAYER's time starts as the chip's
    resets = {b.neuron.reset for b in network.blocks if isinstance(b.neuron, CubaLif)}
    together = len(resets) == 1 and all(r is not None and r.offset % r.interval == 2 % r.interval for r in resets)
    if not together:
        text = (
            "SLAYER starts to integrate a bias one step later than the chip: reset all layers together at t = 2, "
            "with_reset(T, 1, staggered=False). Resets that from_slayer(reset_interval=T) has set are right, also "
            "those one after the other of blocks with delay_shift=False; see docs/loihi2.md"
        )
        yield Finding("SLAYER start", block.name, "bias from t = 1", "bias from t = 2", "", "warning", text)
    eager = int((block.bias > block.neuron.threshold).sum())
    if eager:
        text = (
            "their bias alone fires them at t = 1, which no reset undoes and SLAYER does not have: raise the threshold"
        )
        yield Finding("SLAYER start", block.name, f"{eager} channels with bias > threshold", 0, "", "warning", text)


def image_width(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """The compiler's warning for wide images."""
    if len(block.shape) == 3:
        erratum = next(e for e in profile.errata if e.id == "conv-width-224")
        yield _limit(
            profile, "conv_width", "width", block, block.shape[2], f"{erratum.text} {erratum.workaround}", "info"
        )


def readout(network: BlockNetwork, block: Block, profile: Profile) -> Iterator[Finding]:
    """How the output decides, where it is not by its spikes; and spikes that decide and never come."""
    if block is not network.blocks[-1]:
        return
    deciding = network.deciding
    if deciding != COUNT:
        text = "the host reads it" if deciding.of_state else "the host adds it up"
        yield Finding("readout", block.name, deciding.describe(), "", "", "info", text)
    neuron = block.neuron
    if deciding.kind == "count" and isinstance(neuron, ProgrammableLif) and neuron.sends == "voltage":
        fix = "it sends its voltage in every step, which is no count: --readout-kind mean, or state for the last one"
        yield Finding("readout", block.name, deciding.describe(), "", "", "warning", fix)
    if deciding.of_spikes and never_fires(block):
        fix = "spikes decide, and it never fires: read its state, --readout-kind state"
        yield Finding("readout", block.name, deciding.describe(), "", "", "warning", fix)


RULES: tuple[Rule, ...] = (
    weights, lava_weights, neuron_words, programmable_neuron, resonator_decay, delays, messages, time_shift,
    image_width, readout,
)  # fmt: skip
