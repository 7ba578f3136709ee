"""A float network as cores: which layers make one, and its ternary weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import INPUT, Flatten, IntegrateAndFire, Linear, Network
from toy_chip.layers import TernaryNeuron
from toy_chip.program import Core, Crossbars


@dataclass(frozen=True)
class Refusal:
    """A layer without a counterpart on the chip, and what to do about it."""

    layer: str
    text: str

    def __str__(self) -> str:
        return f"layer {self.layer!r}: {self.text}" if self.layer else self.text


def lower(network: AnyNetwork) -> Crossbars:
    """The cores of a network.

    Raises:
        UnsupportedError: names every layer that cannot be part of a core.
    """
    cores, refusals = arrange(network)
    if refusals:
        raise UnsupportedError("; ".join(map(str, refusals)))
    return Crossbars(network.input_shape, cores)


def arrange(network: AnyNetwork) -> tuple[tuple[Core, ...], tuple[Refusal, ...]]:
    """The cores, in order, and every reason why the network is none of this chip."""
    if not isinstance(network, Network):
        return (), (Refusal("", f"{network.title}: this chip takes float networks"),)
    cores: list[Core] = []
    refusals: list[Refusal] = []
    before, waiting = INPUT, ""  # the layer before, and a layer of weights that waits for its neurons
    weights = {layer.name: layer.op for layer in network.layers if isinstance(layer.op, Linear)}
    for layer in network.layers:
        text = ""
        if layer.inputs != (before,):
            text = f"fed by {', '.join(layer.inputs)}: cores stand in a row, each fed by the one before"
        elif isinstance(layer.op, Linear):
            text = "with a bias: train without" if layer.op.bias is not None else ""
            text = f"behind {waiting!r}, which has no neurons: put neurons between" if waiting else text
            waiting = layer.name
        elif isinstance(layer.op, TernaryNeuron | IntegrateAndFire):
            if waiting:
                core = _core(waiting, weights[waiting], layer.op)
                text = core if isinstance(core, str) else ""
                cores += [] if isinstance(core, str) else [core]
            else:
                text = "without weights before it: put a Linear layer there"
            waiting = ""
        elif not isinstance(layer.op, Flatten):
            text = f"a {type(layer.op).__name__}: the chip has Linear layers with neurons behind them only"
        refusals += [Refusal(layer.name, text)] if text else []
        before = layer.name
    if waiting or not network.layers:
        refusals.append(Refusal(waiting, "without neurons behind it" if waiting else "a network without layers"))
    return tuple(cores), tuple(refusals)


def _core(name: str, linear: Linear, neuron: TernaryNeuron | IntegrateAndFire) -> Core | str:
    """A core, or why there is none: weights of at least half the largest one become -1 or 1."""
    scale = float(np.abs(linear.weight).max())
    if scale == 0:
        return f"behind {name!r}, whose weights are all zero"
    weight = (np.sign(linear.weight) * (np.abs(linear.weight) >= scale / 2)).astype(np.int8)
    if isinstance(neuron, TernaryNeuron):
        if not np.array_equal(weight, linear.weight):
            return f"behind weights that are not -1, 0 and 1, of {name!r}: train it so, or use IntegrateAndFire"
        return Core(name, weight, neuron.threshold, neuron.leak)
    if neuron.reset != "zero" or neuron.max_spikes != 1 or neuron.min_v is not None:
        return "neurons unlike those of the chip: give reset='zero', max_spikes=1 and min_v=None"
    # v >= threshold of whole numbers v, in units of the scale, is v > the next whole number below it
    return Core(name, weight, max(ceil(neuron.threshold / scale) - 1, 0), 0)
