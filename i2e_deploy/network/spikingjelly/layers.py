"""SpikingJelly's own layers without states as ours, and what has no counterpart with its reason and the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.layers import Linear
from i2e_deploy.network.modules.layers import Reader
from i2e_deploy.network.modules.values import whole
from i2e_deploy.network.modules.weights import conv2d, linear
from i2e_deploy.network.neurons import parameter
from i2e_deploy.network.op import Op, Shape

_HOME = "spikingjelly.activation_based"
#: Classes by torch's names, with torch's attributes beside `step_mode`.
_AS_TORCH = (
    "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "Dropout",
    "Dropout2d", "Linear", "MaxPool2d",
)  # fmt: skip
#: tdBN: alpha * v_th is in its weight from the start (layer/bn.py); at inference it is a batch norm.
NORMS = ("ThresholdDependentBatchNorm1d", "ThresholdDependentBatchNorm2d")
IGNORED = ("PrintShapeModule",)
LEAVES = tuple(
    f"{_HOME}.layer.{name}" for name in (*_AS_TORCH, *NORMS, *IGNORED, "Delay", "VotingLayer", "WSConv2d", "WSLinear")
)
#: Looked into: they run what they hold.
CONTAINERS = (
    "Flatten", "SeqToANNContainer", "MultiStepContainer", "StepModeContainer", "LinearRecurrentContainer",
    "ElementWiseRecurrentContainer", "SpikingVGG", "SpikingResNet", "SEWResNet", "MSResNet", "MaxResNet", "_MSBlock",
    "_MaxResNetBlock", "_MaxResNetMaxBlock", "BasicBlock", "Bottleneck",
    "MNISTNet", "FashionMNISTNet", "NMNISTNet", "CIFAR10Net", "CIFAR10DVSNet", "DVSGestureNet",
)  # fmt: skip

_TRAIN = "train with LIFNode"
#: Classes that have no counterpart: what they do, and the way out.
REFUSED: Mapping[str, str] = {
    "QIFNode": f"has a quadratic membrane equation; {_TRAIN}",
    "EIFNode": f"has a membrane potential that grows exponentially near the threshold; {_TRAIN}",
    "IzhikevichNode": f"has a quadratic membrane equation of two variables; {_TRAIN}",
    "GatedLIFNode": f"has gates between several leaks and resets; {_TRAIN}",
    "ComplementaryLIFNode": f"resets by a second variable through a sigmoid; {_TRAIN}",
    "LIAFNode": f"gives a value of its membrane potential in place of a spike; {_TRAIN}",
    "ILIFNode": f"gives several spikes as one value; {_TRAIN}",
    "TernaryIFNode": "gives spikes of -1 too; train with IFNode",
    "TernaryLIFNode": f"gives spikes of -1 too; {_TRAIN}",
    "RAFNode": f"oscillates: its state is complex; {_TRAIN}",
    "STBIFNode": "gives spikes of -1 too; train with IFNode",
    "PSN": f"mixes all steps by weights, later ones too; {_TRAIN}",
    "MaskedPSN": f"mixes steps by weights; {_TRAIN}",
    "SlidingPSN": f"mixes steps by weights; {_TRAIN}",
    "FlexSN": f"is a program of its own; {_TRAIN}",
    "FewSpikeNode": f"has thresholds of its own in each step; {_TRAIN}",
    "DSRIFNode": "gives weighted averages in place of spikes; load its weights into a network with IFNode",
    "DSRLIFNode": "gives weighted averages in place of spikes; load its weights into a network with LIFNode",
    "OTTTLIFNode": "gives a trace beside its spikes, for training; load the weights into a network with LIFNode",
    "SLTTLIFNode": "is for training; load the weights into a network with LIFNode",
    "MPBNBaseNode": f"normalises its membrane potential in each step; {_TRAIN}",
    "MPBNLIFNode": f"normalises its membrane potential in each step; {_TRAIN}",
    "ILCBaseNode": f"has connections between its neurons in a layout of its own; {_TRAIN} in LinearRecurrentContainer",
    "ILCIFNode": "has connections between its neurons; train with IFNode in LinearRecurrentContainer",
    "ILCLIFNode": f"has connections between its neurons; {_TRAIN} in LinearRecurrentContainer",
    "ILCCUBALIFNode": "has connections between its neurons; train with CUBALIFNode in LinearRecurrentContainer",
    "NoisyBaseNode": "adds noise to its membrane potential; train with CUBALIFNode",
    "NonSpikingBaseNode": "gives membrane potentials as a list, or one value of all steps; end in a Linear layer and "
    "add up its steps outside",
    "SynapseFilter": "stops its decay in the step of a spike; use CUBALIFNode, whose current decays in every step",
    "NeuNorm": "divides by what all channels fired before; use BatchNorm2d",
    "_TemporalEffectiveBatchNormBase": "scales each step otherwise; use BatchNorm2d",
    "_BatchNormThroughTimeBase": "normalises each step otherwise; use BatchNorm2d",
    "TemporalWiseAttention": "weighs steps by what comes later; leave it out",
    "MultiDimensionalAttention": "weighs values by what comes later; leave it out",
    "SpikingSelfAttention": "multiplies spikes by spikes; use convolutions",
    "QKAttention": "multiplies spikes by spikes; use convolutions",
    "SpikeDrivenSelfAttention": "multiplies spikes by spikes; use convolutions",
    "DropConnectLinear": "is for training; load its weights into Linear",
    "TLastSeqToANNContainer": "has time on the last axis; use SeqToANNContainer",
    "TLastMultiStepContainer": "has time on the last axis; use MultiStepContainer",
    "GroupNorm": "normalises by statistics of its input; use BatchNorm2d, which becomes fixed factors",
}  # fmt: skip


def check_classes(named: Sequence[tuple[str, Any]]) -> None:
    """Raise UnsupportedError for a module that is known to have no counterpart, with its reason.

    Args:
        named: all parts of a module, by name.
    """
    for name, part in named:
        homes = [base for base in type(part).__mro__ if base.__module__.partition(".")[0] == "spikingjelly"]
        reason = next((REFUSED[base.__name__] for base in homes if base.__name__ in REFUSED), None)
        if reason is not None:
            raise UnsupportedError(f"layer {name or '0'!r} is a {type(part).__name__}, which {reason}")
        joins = getattr(part, "cnf", None) if homes else None
        if joins not in (None, "ADD"):
            raise UnsupportedError(
                f"layer {name or '0'!r} joins its branches by {joins}, a product of spikes: no layer here does that; "
                'train with cnf="ADD"'
            )


def _standardised(module: Any) -> SimpleNamespace:
    """A layer with the weight that its forward makes of its own."""
    names = ("bias", "stride", "padding", "dilation", "groups", "padding_mode")
    attributes = {name: getattr(module, name, None) for name in names}
    return SimpleNamespace(**attributes, weight=module.get_weight().detach(), _parameters=(), _buffers=())


def _voting(module: Any, given: Sequence[Shape]) -> Op:
    """Averages of groups of neurons."""
    size = whole(module.voting_size, "voting size")
    (shape,) = given
    if len(shape) != 1 or size < 1 or shape[0] < size:
        raise UnsupportedError(f"votes by groups of {size} of an input {list(shape)}: flatten it first")
    groups = shape[0] // size
    weight = np.zeros((groups, shape[0]), np.float32)
    weight[:, : groups * size] = np.repeat(np.eye(groups, dtype=np.float32) / size, size, axis=1)
    return Linear(weight)


READERS: Mapping[str, Reader] = {
    "Delay": lambda module, _: Delay(parameter(whole(module.delay_steps, "delay"))),
    "VotingLayer": _voting,
    "WSConv2d": lambda module, _: conv2d(_standardised(module)),
    "WSLinear": lambda module, _: linear(_standardised(module)),
}
