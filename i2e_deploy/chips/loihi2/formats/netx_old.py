"""What files of the first SLAYER, for Loihi 1, say beyond those of lava-dl: `wgtExp`, `refDelay`, type `recurrent`.

The evidence is slayerPytorch: `slayerLoihi.py` (`_spike.loihi`) and its kernel `spikeLoihi.h` multiply weighted spikes
by `2^(6 + wgtExp)`, and use `refDelay` in no forward pass. netx reads neither.
"""

from __future__ import annotations

from dataclasses import replace

from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.graph import Note

#: Field of the chip: 4 bits, signed.
EXPONENTS = (-8, 7)
RECURRENT = (
    "the type `recurrent`, which no public program reads: taken as dense_rec, row i of recWeight what all neurons send "
    "to neuron i, a step later; a network that was trained otherwise computes something else"
)


def with_weight_exponent(
    group: Guarded, name: str, connections: list[b.Connection], notes: list[Note]
) -> list[b.Connection]:
    """The connections of a layer with the exponent of its weights multiplied in.

    Args:
        group: the layer.
        name: of its block, for notes, which are added to `notes`.

    Raises:
        UnsupportedError: weights that leave the integers.
    """
    neuron = group.group("neuron") if "neuron" in group else None
    if neuron is None or "wgtExp" not in neuron:
        return connections
    exponent = int(neuron.integers("wgtExp", *EXPONENTS).reshape(-1)[0])
    if exponent == 0:
        return connections
    notes.append(Note(name, f"wgtExp {exponent}: weights are multiplied by 2^{exponent}; netx drops it"))
    return [replace(c, synapse=_scaled(c.synapse, exponent)) for c in connections]


def _scaled(synapse: b.Synapse | None, exponent: int) -> b.Synapse | None:
    if synapse is None:
        return None
    if exponent > 0:
        return replace(synapse, weight=synapse.weight << exponent)
    if (synapse.weight % 2**-exponent).any():
        raise UnsupportedError(
            f"wgtExp {exponent}: its weights times 2^{exponent} are no integers; multiply weights, threshold and bias "
            f"of the layer by {2**-exponent} instead, if they then fit"
        )
    return replace(synapse, weight=synapse.weight >> -exponent)


def refractory(group: Guarded, name: str) -> list[Note]:
    """A doubt where a layer's neurons have a refractory period of more than the one step that every neuron has."""
    neuron = group.group("neuron") if "neuron" in group else None
    if neuron is None or "refDelay" not in neuron:
        return []
    delay = int(neuron.integers("refDelay", 0, 2**15).reshape(-1)[0])
    text = (
        f"refDelay {delay}: Loihi 1 holds a neuron for so long after a spike; neither SLAYER's forward pass nor netx "
        "acts on it, nor is it acted on here"
    )
    return [Note(name, text, doubtful=True)] if delay > 1 else []
