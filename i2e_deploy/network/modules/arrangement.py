"""Where each value of a tensor of a user's program comes from: which layer, sample, step and place.

A tensor that a layer gave gets a second one of whole numbers, a code for each value. What only moves values (slices,
views, stacks) is run on the codes too, so that whatever a program does with axes ends in a tensor whose codes say what
it is: one step, or a whole sequence with time in front or behind the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal, NamedTuple

from i2e_deploy.network.op import Shape

if TYPE_CHECKING:
    from torch import Tensor

#: More steps than any sequence has; the last number says: the same in every step.
SPAN = 2**20
ALWAYS = SPAN - 1
#: One step [B, ...], or all of them: [T, B, ...], [B, T, ...], [T * B, ...], [B * T, ...].
Form = Literal["step", "TB", "BT", "T*B", "B*T"]


@dataclass(frozen=True, eq=False)
class Made:
    """What a tensor holds.

    Args:
        source: the layer.
        parts: which of what it gave: 0 the output, 1 and up the states; several where they are one tensor.
        shape: of the source's values, without batch and time.
        codes: int64, of the tensor's shape; (sample * SPAN + step) * values of the source + place.
        version: of the tensor; another one later: it was changed in place through a view.
    """

    source: str
    parts: frozenset[int]
    shape: Shape
    codes: Tensor
    version: int


class Place(NamedTuple):
    """How the values of a source lie in a tensor.

    Args:
        form: see `Form`.
        step: the only one, or 0.
        steps: how many; 1 for one.
        shape: in which the values stand, without batch and time.
    """

    form: Form
    step: int
    steps: int
    shape: Shape


def place_of(made: Made, batch: int) -> Place | None:
    """None: some values are missing, stand twice or in another order."""
    import torch

    codes, size = made.codes, prod(made.shape)
    found = []
    for lead in (1, 2):
        if codes.ndim < lead or prod(codes.shape[lead:]) != size or not codes.numel():
            continue
        flat = codes.reshape(*codes.shape[:lead], size)
        heads = flat[..., 0]
        if not torch.equal(flat, heads[..., None] + torch.arange(size)) or bool((heads % size).any()):
            continue
        sample, step = heads // size // SPAN, heads // size % SPAN
        form = _form(sample, step, batch)
        if form is not None:
            steps = 1 if form == "step" else step.numel() // batch
            found.append(Place(form, int(step.reshape(-1)[0]), steps, tuple(codes.shape[lead:])))
    return min(found, key=lambda place: place.shape != made.shape, default=None)


def coded(place: Place, batch: int, shape: Shape) -> Tensor:
    """Codes of what a layer gave for inputs in that place: the batch and the steps are where they were."""
    import torch

    samples = torch.arange(batch) * SPAN
    steps = torch.arange(place.steps) if place.form != "step" else torch.tensor([place.step])
    if place.form == "step":
        heads = samples + steps
    elif place.form in ("TB", "T*B"):
        heads = samples[None] + steps[:, None]
    else:
        heads = samples[:, None] + steps[None]
    heads = heads.reshape(-1) if "*" in place.form else heads
    codes: Tensor = heads[..., None] * prod(shape) + torch.arange(prod(shape))
    return codes.reshape(*heads.shape, *shape)


def split(tensor: Tensor, place: Place, batch: int) -> dict[int, Tensor]:
    """The values [B, ...] by step."""
    if place.form == "step":
        return {place.step: tensor}
    if place.form == "T*B":
        tensor = tensor.reshape(place.steps, batch, *tensor.shape[1:])
    elif place.form == "B*T":
        tensor = tensor.reshape(batch, place.steps, *tensor.shape[1:])
    axis = 0 if place.form in ("TB", "T*B") else 1
    return dict(enumerate(tensor.unbind(axis)))


def lead(form: Form) -> int:
    """Axes before those of the values."""
    return 2 if form in ("TB", "BT") else 1


def _form(sample: Tensor, step: Tensor, batch: int) -> Form | None:
    import torch

    b = torch.arange(batch)
    if sample.ndim == 2:
        if sample.shape[1] == batch and bool((sample == b).all()) and bool((step == ALWAYS).all()):
            return "TB"  # one picture, repeated
        if sample.shape[1] == batch and _counts(sample, b[None], step, torch.arange(len(step))[:, None]):
            return "TB"
        return "BT" if len(sample) == batch and _counts(sample, b[:, None], step, torch.arange(step.shape[1])) else None
    if len(sample) == batch and torch.equal(sample, b) and bool((step == step[0]).all()):
        return "step"
    if len(sample) % batch:
        return None
    t = torch.arange(len(sample) // batch)
    if _counts(sample.reshape(-1, batch), b[None], step.reshape(-1, batch), t[:, None]):
        return "T*B"
    return "B*T" if _counts(sample.reshape(batch, -1), b[:, None], step.reshape(batch, -1), t) else None


def _counts(sample: Tensor, samples: Tensor, step: Tensor, steps: Tensor) -> bool:
    return bool((sample == samples).all()) and bool((step == steps).all())
