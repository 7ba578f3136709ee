"""The judge: what a network's own program gave, layer by layer, beside what the layers that were read from it give.

Each layer gets the inputs that it had in that program, not those that we computed, so a layer that was read wrongly
is named itself and not through what follows it; and rounding in one layer cannot become spikes in the next. What
must be equal: spikes exactly, sums of products and membrane potentials up to `TOLERANCE`, as float32 adds in another
order (and batch norm is folded into the weights, a leak into one factor). Where a membrane potential is at its
threshold to float32, its last bit decides whether the neuron fires: such neurons are counted, and compared no further.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.neurons import LeakyIntegrateAndFire
from i2e_deploy.network.op import Op, State
from i2e_deploy.text import counted, listed

if TYPE_CHECKING:
    from torch import Tensor

#: Difference that float32 explains, as a share of the largest value of the layer; a weight rounded to 8 bits makes
#: a hundred times as much.
TOLERANCE = 1e-4
#: How far from its threshold, as a share of it, rounding of float32 can decide whether a neuron fires.
BORDER = 1e-5
#: What an importer notes when it was given no example.
NOT_COMPARED = "read without an example, so nothing was compared with the network's own forward: give example=frames"


@dataclass(frozen=True)
class Judgement:
    """What was compared, all of it equal.

    Args:
        samples, steps: of the example.
        layers: layers whose outputs were compared.
        values: numbers compared.
        largest: largest difference, as a share of the largest value of its layer.
        silent: neurons that gave nothing but zeros on the example: of these layers it says little.
        rounded: neurons where the last bit of a membrane potential decided a spike, compared up to there.
    """

    samples: int
    steps: int
    layers: int
    values: int
    largest: float
    silent: tuple[str, ...]
    rounded: int = 0

    def note(self, program: str) -> Note:
        """For the network: compared with `program`, e.g. "Net.forward"."""
        what = f"{counted(self.layers, 'layer')}, {self.values:,} values"
        on = f"{counted(self.samples, 'sample')} of {counted(self.steps, 'step')}"
        apart = f"largest difference {self.largest:.1e} of a layer's largest value" if self.largest else "all equal"
        silent = f"; nothing fired in {listed(self.silent)}: a livelier example says more" if self.silent else ""
        rounded = ""
        if self.rounded:
            rounded = f"; the last bit of float32 decided a spike in {counted(self.rounded, 'neuron')}"
        return Note("", f"compared with {program} on {on}: {what}, {apart}{rounded}{silent}")


def judge(network: Network, frames: Tensor, recorded: Mapping[str, Tensor], program: str) -> Judgement:
    """Compare every layer; see the head of this file.

    Args:
        network: as it was read.
        frames: [B, T, ...], floating point: the example.
        recorded: what `program` gave for these frames in place of a layer, by the layer's name, [B, T, ...]. A layer
            that is not there is computed from what fed it.
        program: for errors, e.g. "Net.forward".

    Raises:
        UnsupportedError: the first layer that differs, with the step and both values.
    """
    import torch

    values: dict[str, Tensor] = {**recorded, INPUT: frames}  # a loop takes what a later layer gave
    total, largest, silent, rounded = 0, 0.0, [], 0
    for layer in network.layers:
        unknown = [name for name in layer.inputs if name not in values]
        if unknown:
            raise UnsupportedError(f"layer {layer.name!r} is fed by {unknown[0]!r}, of which {program} shows nothing")
        theirs = recorded.get(layer.name)
        with torch.no_grad():
            given = [values[name] for name in layer.inputs]
            ours, spiking = _outputs(layer.op, given)
            if theirs is not None and isinstance(layer.op, LeakyIntegrateAndFire) and ours.shape == theirs.shape:
                ours, decided = _without_rounding(layer.op, given[0], ours, theirs)
                rounded += decided
        values[layer.name] = ours if theirs is None else theirs
        if theirs is not None:
            largest = max(largest, _difference(layer, ours, theirs, program))
            total += theirs.numel()
            silent += [layer.name] if spiking and not bool(theirs.any()) else []
    compared = sum(layer.name in recorded for layer in network.layers)
    return Judgement(frames.shape[0], frames.shape[1], compared, total, largest, tuple(silent), rounded)


def _outputs(op: Op, given: Sequence[Tensor]) -> tuple[Tensor, bool]:
    """What a layer gives for inputs [B, T, ...] from a fresh state, and whether it keeps a state."""
    import torch

    first, state = op.step([x[:, 0] for x in given], {})
    if not state:  # all steps as one batch, as frameworks do
        batch, steps = given[0].shape[:2]
        whole = op.step([x.flatten(0, 1) for x in given], {})[0]
        return whole.reshape(batch, steps, *whole.shape[1:]), False
    found = [first]
    for t in range(1, given[0].shape[1]):
        out, state = op.step([x[:, t] for x in given], state)
        found.append(out)
    return torch.stack(found, dim=1), True


def _without_rounding(op: LeakyIntegrateAndFire, x: Tensor, ours: Tensor, theirs: Tensor) -> tuple[Tensor, int]:
    """Our spikes, with theirs from where one fired within `BORDER` of the threshold; and how many neurons that were."""
    import torch

    if op.threshold is None or torch.equal(ours, theirs):
        return ours, 0
    eager, lazy = (
        replace(op, threshold=(op.threshold * factor).astype("float32")) for factor in (1 - BORDER, 1 + BORDER)
    )
    left = torch.zeros_like(ours[:, 0], dtype=torch.bool)
    settled = ours.clone()
    state: State = {}
    for t in range(x.shape[1]):
        most, least = eager.step([x[:, t]], state)[0], lazy.step([x[:, t]], state)[0]
        _, state = op.step([x[:, t]], state)
        close = (least <= theirs[:, t]) & (theirs[:, t] <= most)
        apart = (ours[:, t] != theirs[:, t]) & ~left
        left |= apart & close
        settled[:, t] = torch.where(left, theirs[:, t], settled[:, t])
        if bool((apart & ~close).any()):
            return ours, 0
    return settled, int(left.sum())


def _difference(layer: Layer, ours: Tensor, theirs: Tensor, program: str) -> float:
    """The largest difference as a share of the largest value; UnsupportedError where it is more than rounding."""
    where = f"layer {layer.name!r} ({layer.op.describe()})"
    if ours.shape != theirs.shape:
        raise UnsupportedError(
            f"{where} gives shape {list(ours.shape[2:])} as read, {list(theirs.shape[2:])} in {program}: "
            f"{program} computes something else than its layers say; write it with layers alone"
        )
    apart = (ours - theirs).abs()
    scale = float(theirs.abs().max())
    wrong = ~(apart <= TOLERANCE * scale)  # what is not finite is wrong too
    if not bool(wrong.any()):
        return float(apart.max()) / scale if scale else 0.0
    step = int(wrong.transpose(0, 1).flatten(1).any(dim=1).nonzero()[0])
    sample, *index = (int(i) for i in wrong[:, step].nonzero()[0])
    place = (sample, step, *index)
    raise UnsupportedError(
        f"{where} was read wrongly: first at step {step}, sample {sample}, {tuple(index)} it gives "
        f"{_number(ours[place])} where {program} gives {_number(theirs[place])}; {int(wrong.sum()):,} of "
        f"{wrong.numel():,} values differ, by {_number(apart.max())} at most: {program} does something that the layers "
        "do not say (another forward, a hook, weights that it computes); put it into layers of its own"
    )


def _number(value: Any) -> str:
    return f"{float(value):.6g}"
