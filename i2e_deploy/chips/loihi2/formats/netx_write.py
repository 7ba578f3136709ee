"""Write integer blocks as a netx `.net` file, in the layout of lava-dl's `export_hdf5`.

`read_netx(write_netx(network))` gives the same integers. What netx cannot express is refused, never dropped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.chips.loihi2.formats.netx_readout import deciding_of
from i2e_deploy.chips.loihi2.neuron import Neuron
from i2e_deploy.chips.loihi2.relay import Programmable
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.files import replacing
from i2e_deploy.hdf5_write import writing

if TYPE_CHECKING:
    import h5py

_DEFAULT_BITS = {b.Delta: 16, b.SigmaDelta: 16, b.Sigma: 16}


def refuse_programmable(network: b.BlockNetwork) -> None:
    """For whatever goes through netx or Lava.

    Raises:
        UnsupportedError: neurons that neither has; every layer is named with what its neurons do.
    """
    found = [(block.name, block.neuron) for block in network.blocks if isinstance(block.neuron, Programmable)]
    if found:
        layers = "; ".join(f"{name!r}: {', '.join(n.beyond_standard()) or 'what CubaLif does'}" for name, n in found)
        raise UnsupportedError(
            f"programmable neurons (layer {layers}): no .net file holds them and no fixed_pt model of Lava 0.10 "
            "computes them. Run targets simulator or reference, or use CubaLif: reset to 0, one spike, v > threshold"
        )


def write_netx(network: b.BlockNetwork, path: str | Path) -> None:
    """Write `path`; it appears whole or not at all.

    What a file cannot hold stays an argument of `lava.lib.dl.netx.hdf5.Network`: resets, `input_message_bits`,
    `spike_exp`. Nor does it say from which step on the output counts. Groups of outputs whose means decide become
    SLAYER's layer `average`, which netx does not load.

    Raises:
        UnsupportedError: programmable neurons, branches, delays of convolutions, message bits other than netx's, a
            readout that a file does not say; every layer is named.
        InputError: the file cannot be written.
    """
    refuse_programmable(network)
    path = Path(path)
    problems = [
        f"layer {block.name!r}: {text}" for i, block in enumerate(network.blocks) for text in _problems(network, i)
    ]
    said = deciding_of(network.blocks[-1], network.deciding.classes)
    if network.deciding.kind not in ("count", "mean") and replace(network.deciding, lag=said.lag) != said:
        problems.append(f"it decides by {network.deciding}, and whoever reads the file takes {said}: see decided_by")
    if problems:
        raise UnsupportedError("a .net file cannot hold this network: " + " | ".join(problems))
    try:
        with replacing(path) as partial, writing(partial) as (file, _):
            _layers(network, file.create_group("layer"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error}") from error


def _problems(network: b.BlockNetwork, index: int) -> list[str]:
    block, found = network.blocks[index], []
    before = network.blocks[index - 1].name if index else b.SOURCE
    outside = [c for c in block.connections if c.source != block.name]
    if any(c.source != before for c in outside) or len({c.part for c in outside}) != len(outside):
        found.append("has branches; netx files are one chain of layers")
    if any(c.synapse is None for c in outside) and (index or len(block.connections) > 1):
        found.append("takes its source without synapses; only the first layer may")
    if any(isinstance(c.synapse, b.ConvSynapse) and c.synapse.delay is not None for c in block.connections):
        found.append("has delays on a convolution, which netx ignores")
    if any(c.source == block.name and not isinstance(c.synapse, b.DenseSynapse) for c in block.connections):
        found.append("has feedback that is not dense")
    if len(block.connections) > len(outside) and any(getattr(c.synapse, "delay", None) is not None for c in outside):
        found.append("has feedback and delays, which netx mixes up")
    if block.bias is not None and block.bias.size not in (1, block.shape[0]):
        found.append("has a bias of its own for each neuron; netx has one a channel")
    if block.message_bits != _DEFAULT_BITS.get(type(block.neuron), 0):
        found.append(f"sends {block.message_bits} message bits; netx cannot read that key (NetDict, hdf5.py:747)")
    direct = block.connections[0].synapse is None
    if isinstance(block.neuron, b.Delta) != direct and not (direct and isinstance(block.neuron, b.CubaLif)):
        found.append("is an input layer if and only if its neurons are Delta or CubaLif without synapses")
    return found


def _layers(network: b.BlockNetwork, layers: h5py.Group) -> None:
    shape = b.as_image(network.input_shape)
    if network.blocks[0].connections[0].synapse is not None:
        _describe(layers.create_group("0"), "input", shape)
    for block in network.blocks:
        first = block.connections[0].synapse
        if len(shape) == 3 and isinstance(first, b.DenseSynapse):
            _describe(layers.create_group(str(len(layers))), "flatten", (int(np.prod(shape)), 1, 1))
        _block(network, block, layers.create_group(str(len(layers))))
        shape = block.shape
    if network.deciding.classes:
        _describe(layers.create_group(str(len(layers))), "average", (network.deciding.classes, 1, 1))


def _describe(group: h5py.Group, kind: str, shape: tuple[int, ...]) -> None:
    group.create_dataset("type", (1,), "S10", [kind.encode("ascii")])
    group.create_dataset("shape", data=np.array(shape))


def _block(network: b.BlockNetwork, block: b.Block, group: h5py.Group) -> None:
    first = block.connections[0].synapse
    feedback = [c.synapse for c in block.connections if c.source == block.name]
    if first is None:
        _describe(group, "input", block.shape)
        if network.input_transform is not None:
            group["weight"], group["bias"] = map(np.float32, network.input_transform)
    elif isinstance(first, b.ConvSynapse):
        _describe(group, "conv", block.shape)
        _conv(group, first)
    else:
        _describe(group, "dense_rec" if feedback else "dense", block.shape)
        _dense(group, block, first)
        if isinstance(feedback and feedback[0], b.DenseSynapse):
            group["weight_rec"] = feedback[0].weight.astype(np.float32)  # type: ignore[union-attr]
    if block.bias is not None:
        group["bias"] = block.bias.astype(np.float32 if np.abs(block.bias).max() < 2**24 else np.float64)
    for key, value in _neuron(block.neuron).items():
        group[f"neuron/{key}"] = value


def _conv(group: h5py.Group, synapse: b.ConvSynapse) -> None:
    out, per_group = synapse.weight.shape[:2]
    group["inChannels"], group["outChannels"], group["groups"] = per_group * synapse.groups, out, synapse.groups
    group["kernelSize"] = np.array(synapse.weight.shape[2:])
    for key in ("stride", "padding", "dilation"):
        group[key] = np.array(getattr(synapse, key))
    group["weight"] = synapse.weight.astype(np.float32)


def _dense(group: h5py.Group, block: b.Block, synapse: b.DenseSynapse) -> None:
    group["outFeatures"], group["inFeatures"] = synapse.weight.shape
    imag = [c.synapse for c in block.connections if c.part == "imag"]
    if imag and isinstance(imag[0], b.DenseSynapse):
        group["weight/real"] = synapse.weight.astype(np.float32)
        group["weight/imag"] = imag[0].weight.astype(np.float32)
    else:
        group["weight"] = synapse.weight.astype(np.float32)
    if synapse.delay is not None:
        same = (synapse.delay == synapse.delay[:, :1]).all()
        group["delay"] = (synapse.delay[:, 0] if same else synapse.delay).astype(np.int64)


def _neuron(neuron: Neuron) -> dict[str, object]:
    if isinstance(neuron, b.CubaLif):
        decays = {"iDecay": neuron.current_decay, "vDecay": neuron.voltage_decay}
        scalars = {key: value[0] if value.size == 1 else value for key, value in decays.items()}
        return {"type": b"CUBA", **scalars, "vThMant": neuron.threshold, "refDelay": 1, "gradedSpike": False}
    if isinstance(neuron, b.Resonator):
        kind = {"phase": b"RF_PHASE", "izhikevich": b"RF_IZHIKEVICH"}[neuron.kind]
        decay = {"sinDecay": neuron.sin_decay, "cosDecay": neuron.cos_decay}
        return {"type": kind, **decay, "vThMant": neuron.threshold, "gradedSpike": False}
    common: dict[str, object] = {"type": b"SDNN", "activation": b"relu", "vThMant": getattr(neuron, "threshold", 0)}
    return common | ({"sigma_output": True} if isinstance(neuron, b.Sigma) else {})
