"""How the output of a netx network becomes a decision, as far as its layers say it."""

from __future__ import annotations

from collections.abc import Sequence

from i2e_deploy.chips.deciding import COUNT, Deciding
from i2e_deploy.chips.loihi2.program import Block, CubaLif, Sigma
from i2e_deploy.network.graph import Note

#: A voltage is at most 2^23 - 1 and a neuron fires above threshold << 6: from this threshold on it never does.
NEVER = 2**17


def never_fires(block: Block) -> bool:
    """Whether no voltage reaches the threshold: netx's integrators without neurons, SLAYER's Affine blocks."""
    return isinstance(block.neuron, CubaLif) and block.neuron.threshold >= NEVER


def deciding_of(block: Block, classes: int = 0) -> Deciding:
    """How the output layer is read where only its file or module speaks.

    Sigma sends the value itself in every step. An output that never fires is read by its voltage: programs for netx
    read `out_layer.neuron.v` at the end of a sample.

    Args:
        block: the output layer.
        classes: groups of outputs whose means decide (the layer `average`), 0: none.
    """
    if never_fires(block):
        return Deciding("state", classes, block.name, "v")
    return Deciding("mean" if isinstance(block.neuron, Sigma) else COUNT.kind, classes)


def deciding_notes(blocks: Sequence[Block]) -> list[Note]:
    """A doubt where an output never fires and leaks: training may have read its voltage in other steps.

    Without a leak the voltage at the end is the sum of all that came: what its mean over the steps would tell too.
    """
    last = blocks[-1]
    if not never_fires(last) or _sums_up(last):
        return []
    text = (
        "never fires, so decisions are read off its voltage at the end; trained on the mean of the voltage (as "
        "lava-dl's own examples with an Affine block are): --readout-kind state-mean"
    )
    return [Note(last.name, text, doubtful=True)]


def _sums_up(block: Block) -> bool:
    """Whether the voltage is the sum of all currents (SLAYER's Affine without dynamics returns each step's current)."""
    neuron = block.neuron
    return isinstance(neuron, CubaLif) and not neuron.current_decay.any() and bool((neuron.voltage_decay == 4096).all())
