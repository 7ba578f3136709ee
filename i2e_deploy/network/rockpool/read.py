"""A trained Rockpool network as float layers. Works on the modules alone: neither JAX nor `samna` is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Network, Note
from i2e_deploy.network.modules.framework import Framework
from i2e_deploy.network.modules.known import class_at, kind_of
from i2e_deploy.network.modules.read import read_module
from i2e_deploy.network.modules.steps import step_notes
from i2e_deploy.network.op import Shape
from i2e_deploy.network.rockpool.native import read_native
from i2e_deploy.network.rockpool.neurons import read_linear, read_neurons, read_synapse
from i2e_deploy.network.rockpool.plain import check_plain, refusal

if TYPE_CHECKING:
    from torch import Tensor

_NN = "rockpool.nn"
#: Modules whose evolution is run and looked into.
CONTAINERS = tuple(f"{_NN}.{path}" for path in (
    "combinators.sequential.TorchSequential", "combinators.residual.TorchResidual", "networks.synnet.SynNet",
    "networks.wavesense.WaveSenseNet", "networks.wavesense.WaveSenseBlock",
))  # fmt: skip
_TORCH = f"{_NN}.modules.torch"
LEAVES = tuple(f"{_TORCH}.{path}" for path in (
    "lif_torch.LIFTorch", "lif_bitshift_torch.LIFBitshiftTorch", "ahp_lif_torch.aLIFTorch",
    "lif_neuron_torch.LIFNeuronTorch", "exp_syn_torch.ExpSynTorch", "linear_torch.LinearTorch",
    "dropout.UnitDropout", "dropout.TimeStepDropout",
))  # fmt: skip
NEURONS = ("LIFTorch", "LIFBitshiftTorch", "aLIFTorch", "LIFNeuronTorch")


def from_rockpool(module: Any, input_shape: Shape, example: Any = None) -> Network:
    """Read a Rockpool network (3.1) as it evolves in evaluation mode after `reset_state()`.

    A copy of it evolves once, on the example or on drawn frames, and what each layer gave is compared with the network
    that was read (`network.judge`).

    Args:
        module: of torch: LIFTorch, LIFBitshiftTorch, aLIFTorch, LIFNeuronTorch, ExpSynTorch, LinearTorch,
            torch.nn.Linear in a Sequential, a Residual, a SynNet or a TorchModule with a `forward` of your own; or
            native: LIF, ExpSyn, Linear in a Sequential or Residual.
        input_shape: (N,).
        example: frames [B, T, N] or of one sample [T, N]. None: drawn.

    Raises:
        UnsupportedError: something without exact counterpart, or that the layers do not say; it names the layer.
        InputError: shapes or values that do not fit.
    """
    from torch import nn

    base = class_at(f"{_NN}.modules.module.ModuleBase")
    if base is None or not isinstance(module, base):
        raise InputError(f"{type(module).__name__} is no Rockpool module: give the trained network")
    own: Any = deepcopy(module)
    notes = _state_notes(module)
    if not isinstance(module, nn.Module):
        network = read_native(own, input_shape, example)
    else:
        check_plain(module)
        parts = {name or "0": part for name, part in nn.Module.named_modules(own)}
        _check_classes(parts)
        keeping = {name: part for name, part in parts.items() if kind_of(part, LEAVES) in _KEEPING}
        notes += step_notes({float(part.dt): name for name, part in keeping.items()})
        own.reset_state()
        network = read_module(own if own._has_torch_api else own.to_torch(), input_shape, example, None, ROCKPOOL)
    return replace(network, notes=(*notes, *network.notes))


def _check_classes(parts: Mapping[str, Any]) -> None:
    """No class of Rockpool's that has no counterpart; they are named with the way out, before anything runs."""
    for name, part in parts.items():
        kind = kind_of(part, (*LEAVES, *CONTAINERS))
        reason = refusal(kind)
        if reason is not None:
            raise UnsupportedError(f"layer {name!r} is a {kind}, which {reason}")
        if kind == "SynNet" and part.output != "spikes":
            raise UnsupportedError(
                f"layer {name!r} is a SynNet that gives membrane potentials: build it with output='spikes'"
            )


def _state_notes(module: Any) -> list[Note]:
    """Rockpool goes on from the states of the run before."""

    def left(held: Any) -> bool:
        if isinstance(held, Mapping):
            return any(left(value) for value in held.values())
        return bool(np.asarray(held.detach().cpu() if hasattr(held, "detach") else held).any())

    if not left(module.state()):
        return []
    return [Note("", "the module holds states of an earlier run: the network starts as after reset_state()")]


def _evolved(module: Any, given: Sequence[Tensor]) -> list[Any]:
    """What it gives, without states and records."""
    return [module.evolve(x)[0] for x in given]


_KEEPING = (*NEURONS, "ExpSynTorch")
ROCKPOOL = Framework(
    name="Rockpool",
    package="rockpool",
    leaves=LEAVES,
    start=lambda _: None,  # the copy was reset
    wide={**dict.fromkeys(NEURONS, read_neurons), "ExpSynTorch": read_synapse, "LinearTorch": read_linear},
    takes=dict.fromkeys(_KEEPING, lambda _: "BT"),
    ignored=("UnitDropout", "TimeStepDropout"),
    containers=tuple(path.rpartition(".")[2] for path in CONTAINERS),
    default=lambda _: "BT",
    run=_evolved,
)
