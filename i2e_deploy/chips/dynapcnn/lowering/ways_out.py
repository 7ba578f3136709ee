"""What a core cannot do, and what to use in its place."""

from __future__ import annotations

from i2e_deploy.network import (
    Conv1d,
    Delay,
    LeakyIntegrateAndFire,
    MaxPool2d,
    Reshape,
    Scale,
)
from i2e_deploy.network.neurons import without_leak
from i2e_deploy.network.op import Op

_NEURON = "a core's neurons integrate without leak and fire at one threshold of the layer"


def way_out(op: Op) -> str:
    """Why a core does not do it, and the way out, without full stop."""
    if isinstance(op, LeakyIntegrateAndFire):
        return _neurons(op)
    if isinstance(op, MaxPool2d):
        return (
            f"a core sums the spikes of a window: pool by the average (nn.AvgPool2d({op.stride})), and train on with it"
        )
    if isinstance(op, Delay):
        return "the chip is feed-forward and holds nothing back: leave the delay or the loop out, or use Loihi 2"
    if isinstance(op, Conv1d):
        return "a core convolves images: use Conv2d with one row, (C, 1, L) and a square kernel, or Loihi 2"
    if isinstance(op, Scale):
        return "a core has no factors but its weights: put the factor into a convolution or linear layer beside it"
    if isinstance(op, Reshape):
        return "a core keeps rows and columns: leave the shape as it is, or flatten it to one axis"
    return "a core convolves, integrates, fires, pools; leave it out"


def _neurons(op: LeakyIntegrateAndFire) -> str:
    if op.threshold is None:
        return "it gives a membrane potential, and a core sends spikes: put integrate-and-fire neurons there"
    if op.current_decay is not None:
        return f"{_NEURON}, and have no synaptic current: train with IF neurons (Sinabs' IAFSqueeze), or use Loihi 2"
    if op.adaptation_decay is not None:
        return f"{_NEURON}, which does not move: train with IF neurons (Sinabs' IAFSqueeze), or use Loihi 2"
    if (op.decay != 1).any():
        low = float(op.decay.min())
        return (
            f"{_NEURON}; this one keeps {low:.3g} of its state a step. The chip has a constant leak, a bias of each "
            "feature on a slow clock, which takes the same from every state: train with IF neurons (Sinabs' "
            "IAFSqueeze) and biases, or use Loihi 2, whose neurons leak"
        )
    if without_leak(op) is not None:
        return f"{_NEURON}: its gain or bias differs inside a channel, or its weights feed others too; make them one"
    return (
        f"{_NEURON}, at the threshold and above, and subtract it or reset to zero: this one does otherwise "
        f"({op.describe()}); train with IF neurons (Sinabs' IAFSqueeze), or use Loihi 2"
    )
