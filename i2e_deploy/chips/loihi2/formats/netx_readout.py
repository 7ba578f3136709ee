"""How the output of a netx network becomes a decision, as far as its layers say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from i2e_deploy.chips.deciding import COUNT, Deciding
from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, CubaLif, Sigma, never_fires
from i2e_deploy.network.graph import Note


def deciding_of(block: Block, classes: int = 0) -> Deciding:
    """How the output layer is read where only its file or module speaks.

    Sigma sends the value itself in every step. An output that never fires is read by its voltage. SLAYER's Affine
    returns the voltage of every step (without dynamics the current, whose sum over the steps is this voltage), and
    lava-dl's examples and its `classifier.Rate` take the mean. It comes a step earlier there than here: a synapse
    takes a step, and SLAYER delays what a block sends, which Affine does not.

    Args:
        block: the output layer.
        classes: groups of outputs whose means decide (the layer `average`), 0: none.
    """
    if never_fires(block):
        return Deciding("state" if _sums_up(block) else "state-mean", classes, 1, block.name, "v")
    return Deciding("mean" if isinstance(block.neuron, Sigma) else COUNT.kind, classes)


def without_readout(network: BlockNetwork) -> BlockNetwork:
    """The network as netx takes it: it loads no groups of outputs, and how they decide stays with the caller."""
    return replace(network, deciding=deciding_of(network.blocks[-1]))


def deciding_notes(blocks: Sequence[Block]) -> list[Note]:
    """A doubt where an output never fires and leaks: training may have read its voltage in other steps.

    Without a leak the voltage at the end is the sum of all that came, and tells what the mean over the steps does.
    """
    last = blocks[-1]
    if not never_fires(last) or _sums_up(last):
        return []
    text = (
        "never fires, so the mean of its voltage over the steps decides, as in lava-dl's examples with an Affine "
        "block; where the voltage at the end decides: --readout-kind state+1"
    )
    return [Note(last.name, text, doubtful=True)]


def _sums_up(block: Block) -> bool:
    """Whether the voltage is the sum of all currents (SLAYER's Affine without dynamics returns each step's current)."""
    neuron = block.neuron
    return isinstance(neuron, CubaLif) and not neuron.current_decay.any() and bool((neuron.voltage_decay == 4096).all())
