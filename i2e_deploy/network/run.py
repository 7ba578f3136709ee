"""The float run: what a network computes, a time step at a time. It is the definition of a network.

Plain and slow on purpose: a few lines for each kind of layer (`Op.step`), through torch, on any device and in any
floating-point dtype. In float32 on a CPU it equals the framework that a network came from bit for bit where that
does the same operations in the same order; in float64 it is what tests compare with. A loop runs through a `Delay`,
which gives what it held before it takes what this step brings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.op import Op, Shape, State
from i2e_deploy.text import counted, said

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.floating[Any]]
FloatDtype = Literal["float32", "float64"]
#: By layer, its variables by name: [B, ...] each.
FloatStates = Mapping[str, Mapping[str, Floats]]
#: A layer: its name, what it computes, and the names of what feeds it.
Row = tuple[str, Op, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class FloatTrace:
    """What a float run gave, in its dtype.

    Args:
        layers: what each layer gave, by name in network order, [B, T, ...] in the layer's own shape.
        states: the state variables in which each layer ended, [B, ...]; layers without are left out.
        outputs: names of the layers that leave the network, in network order.
    """

    layers: Mapping[str, Floats]
    states: FloatStates
    outputs: tuple[str, ...]

    def __repr__(self) -> str:
        samples, steps, outputs = self.output.shape
        return said(self, counted(samples, "sample"), counted(steps, "step"), counted(outputs, "output"))

    @property
    def output(self) -> Floats:
        """What leaves the network: all outputs, flattened and side by side, [B, T, N]."""
        parts = [self.layers[name] for name in self.outputs]
        return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=2)


def run_layers(
    layers: Sequence[Row], source: str, frames: Tensor, states: FloatStates | None = None,
    keep: Collection[str] | None = None,
) -> FloatTrace:  # fmt: skip
    """Run layers in their order; see `Network.run`.

    Args:
        source: name by which a layer refers to the frames.
        frames: floating point [B, T, ...], of the dtype and on the device of the run.
    """
    import torch

    outputs = outputs_of([(name, inputs) for name, _, inputs in layers])
    state = {name: _started(name, states, frames) for name, _, _ in layers}
    loops = {name: op.shape for name, op, inputs in layers if isinstance(op, Delay) and op.shape is not None}
    found: dict[str, list[Floats]] = {n: [] for n, _, _ in layers if keep is None or n in keep or n in outputs}
    with torch.no_grad():
        for t in range(frames.shape[1]):
            values: dict[str, Tensor] = {source: frames[:, t]}
            for name, op, inputs in layers:
                if name in loops:  # what it gives does not depend on what it is given in this step
                    values[name], _ = op.step([frames.new_zeros(len(frames), *loops[name])], state[name])
                else:
                    values[name], state[name] = op.step([values[feeding] for feeding in inputs], state[name])
            for name, op, inputs in layers:
                if name in loops:
                    _, state[name] = op.step([values[inputs[0]]], state[name])
            for name, rows in found.items():
                rows.append(values[name].cpu().numpy())
    ended = {layer: {name: v.cpu().numpy() for name, v in held.items()} for layer, held in state.items() if held}
    return FloatTrace({name: np.stack(rows, axis=1) for name, rows in found.items()}, ended, outputs)


def outputs_of(layers: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """What leaves a network: layers that feed none after them (a loop goes to one before), in their order.

    Args:
        layers: names, and of each the names of what feeds it.
    """
    fed: set[str] = set()
    found = []
    for name, inputs in reversed(layers):
        if name not in fed:
            found.append(name)
        fed.update(inputs)
    return tuple(reversed(found))


def as_frames(frames: Any, shape: Shape, dtype: FloatDtype = "float32", device: str = "cpu") -> Tensor:
    """Frames of any real dtype, an array or a tensor, as a floating-point tensor [B, T, *shape].

    Raises:
        InputError: another shape, no sample or step, no numbers, a value that is not finite, or an unknown dtype.
    """
    import torch

    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype of a float run is {dtype!r}: choose float32 or float64")
    if not isinstance(frames, torch.Tensor):
        array = np.asarray(frames)
        if array.dtype.kind not in "buif":
            raise InputError(f"frames are {array.dtype}: give numbers [B, T, {', '.join(map(str, shape))}]")
        wide = array.astype(np.int64 if array.dtype.kind in "bui" else np.float64)  # torch lacks unsigned ones
        frames = torch.from_numpy(wide)
    if tuple(frames.shape[2:]) != tuple(shape) or not frames.numel() or frames.is_complex():
        raise InputError(
            f"frames have shape {list(frames.shape)}: the network takes [B, T, {', '.join(map(str, shape))}]"
        )
    if frames.is_floating_point() and not bool(torch.isfinite(frames).all()):
        raise InputError("frames hold values that are not finite: mend what makes them")
    checked: Tensor = frames.detach().to(device, getattr(torch, dtype))
    return checked


def _started(layer: str, states: FloatStates | None, given: Tensor) -> State:
    """The state that a layer starts from; empty: none."""
    import torch

    held = {} if states is None else states.get(layer, {})
    for name, array in held.items():
        if len(array) != len(given):
            raise InputError(
                f"state {name!r} of layer {layer!r} is of {len(array)} samples: the frames have {len(given)}"
            )
    return {name: torch.from_numpy(np.asarray(array)).to(given) for name, array in held.items()}
