"""MS-ResNet from its weights: the network of the I2E paper, whose shortcuts add membrane inputs.

Names and shapes are those of the authors' checkpoints (`training.ms_resnet` has the same as torch modules): `conv1`,
`bn1`, `layer1.0.conv1`, ..., `layer2.0.downsample.1`, `fc`. What a checkpoint does not say are the strides and the
neurons; they are those of the authors' `MSNet_I2E.py`: LIF with tau 2, `decay_input=False`, threshold 1, hard reset to
0, and batch norms with torch's eps of 1e-5, folded into the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.layers import Add, Flatten, Linear
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, parameter
from i2e_deploy.network.op import Array, Op, Shape
from i2e_deploy.network.pooling import MaxPool2d, Pool2d
from i2e_deploy.text import counted, listed

#: torch's default, which the authors leave as it is.
EPS = 1e-5
#: Of a checkpoint, beside the network: the kernels of the conversion, and counters of batch norms.
BESIDE = re.compile(r"^i2e\.|\.num_batches_tracked$")
ASSUMED = (
    "a checkpoint holds no strides and no neurons: read as the authors' MSNet_I2E has them (7x7 stem of stride 2 with "
    "a 3x3 maximum, or 3x3 of stride 1 without; LIF of tau 2 without decay_input, threshold 1, reset to 0; mean over "
    "the steps)"
)


def is_ms_resnet(weights: Mapping[str, Any]) -> bool:
    """Whether the names of the weights are an MS-ResNet's."""
    return {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"} <= set(weights)


def from_ms_resnet(weights: Mapping[str, Any], input_shape: Shape) -> Network:
    """The float network of a state dict.

    Args:
        weights: floating-point arrays by the names above, as NumPy or torch has them; `i2e.*` and counters of batch
            norms are left out.
        input_shape: (C, H, W) of one frame.

    Raises:
        InputError: names or shapes that are none of an MS-ResNet's, values that are not finite, or an image that is too
            small.
    """
    state = {name: _array(name, value) for name, value in weights.items() if not BESIDE.search(name)}
    reader = _Reader(state)
    network = reader.network(input_shape)
    if left := sorted(set(state) - reader.read):
        raise InputError(
            f"weights {listed(left)} are none of an MS-ResNet's: give its state dict alone, with the authors' names"
        )
    return network


class _Reader:
    """Layers in their order, with the names of the weights that were read."""

    def __init__(self, state: Mapping[str, NDArray[np.float64]]) -> None:
        self.state, self.read, self.layers = state, set[str](), list[Layer]()

    def network(self, shape: Shape) -> Network:
        """See `from_ms_resnet`."""
        stem = self.array("conv1.weight", 4)
        large = stem.shape[2] > 3
        at = self.conv("conv1", "bn1", INPUT, 2 if large else 1)
        if large:
            at = self.add("maxpool", MaxPool2d((3, 3), (2, 2), (1, 1)), at)
        for stage, count in enumerate(self._blocks(), 1):
            for index in range(count):
                at = self._block(f"layer{stage}.{index}", at, 2 if stage > 1 and index == 0 else 1)
        sides = Network(shape, tuple(self.layers)).shapes()[at][1:]
        at = self.add("avgpool", Pool2d((sides[0], sides[1])), at)
        at = self.add("flatten", Flatten(), self.add("sn1", neurons(), at))
        last = Linear(
            *(self.array(f"fc.{what}", axes).astype(np.float32) for what, axes in (("weight", 2), ("bias", 1)))
        )
        self.add("fc", last, at)
        blocks = counted(sum(self._blocks()), "block")
        return Network(shape, tuple(self.layers), (Note("", f"MS-ResNet of {blocks}: {ASSUMED}"),))

    def _blocks(self) -> Sequence[int]:
        """Blocks of each stage."""
        found = {m.groups() for name in self.state if (m := re.match(r"layer(\d{1,3})\.(\d{1,3})\.", name))}
        stages = sorted({int(stage) for stage, _ in found})
        counts = [sorted(int(index) for at, index in found if int(at) == stage) for stage in stages]
        if stages != list(range(1, len(stages) + 1)) or any(c != list(range(len(c))) for c in counts):
            raise InputError(f"blocks {sorted('.'.join(x) for x in found)} are not numbered from layer1.0 on")
        return [len(count) for count in counts]

    def _block(self, name: str, at: str, stride: int) -> str:
        """Two convolutions on spikes; the shortcut adds what came in, where it changes its shape through a third."""
        out = self.conv(f"{name}.conv1", f"{name}.bn1", self.add(f"{name}.sn1", neurons(), at), stride)
        out = self.conv(f"{name}.conv2", f"{name}.bn2", self.add(f"{name}.sn2", neurons(), out))
        if f"{name}.downsample.1.weight" in self.state:
            down = f"{name}.downsample"
            at = self.conv(f"{down}.1", f"{down}.2", self.add(f"{down}.0", neurons(), at), stride)
        elif stride > 1:
            raise InputError(f"{name} has stride {stride} and no {name}.downsample.1.weight: the shortcut does not fit")
        return self.add(f"{name}.add", Add(), out, at)

    def conv(self, conv: str, norm: str, at: str, stride: int = 1) -> str:
        """A convolution with its batch norm folded in, in the middle of its kernel."""
        weight = self.array(f"{conv}.weight", 4)
        factor, mean = self.array(f"{norm}.weight", 1), self.array(f"{norm}.running_mean", 1)
        variance, beta = self.array(f"{norm}.running_var", 1), self.array(f"{norm}.bias", 1)
        if any(a.shape != weight.shape[:1] for a in (factor, mean, variance, beta)):
            raise InputError(f"{norm} has {factor.size} channels and {conv} {weight.shape[0]}: they must be equal")
        if variance.min() < 0:
            raise InputError(f"{norm}.running_var is {variance.min():g} somewhere: it must be 0 or above")
        factor = factor / np.sqrt(variance + EPS)
        folded: Array = (weight * factor[:, None, None, None]).astype(np.float32)
        padding = (weight.shape[2] // 2, weight.shape[3] // 2)
        bias = (beta - mean * factor).astype(np.float32)
        return self.add(conv, Conv2d(folded, bias, (stride, stride), padding), at)

    def add(self, name: str, op: Op, *inputs: str) -> str:
        """Its name."""
        self.layers.append(Layer(name, op, inputs))
        return name

    def array(self, name: str, axes: int) -> NDArray[np.float64]:
        """Of the state dict, noted as read."""
        if name not in self.state:
            raise InputError(f"there is no {name}: an MS-ResNet with the authors' names has it")
        if self.state[name].ndim != axes:
            raise InputError(f"{name} has shape {list(self.state[name].shape)}: {axes} axes are needed")
        self.read.add(name)
        return self.state[name]


def neurons() -> LeakyIntegrateAndFire:
    """The paper's: `v = v / 2 + x`, a spike at `v >= 1`, then `v = 0`."""
    return LeakyIntegrateAndFire(parameter(0.5), parameter(1.0), reset="value")


def _array(name: str, value: Any) -> NDArray[np.float64]:
    value = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    if value.dtype.kind != "f" or not value.size or not np.isfinite(value).all():
        raise InputError(f"{name} is {value.dtype} {list(value.shape)}: finite floating-point weights are needed")
    found: NDArray[np.float64] = value.astype(np.float64)
    return found
