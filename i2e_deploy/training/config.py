"""What a training is: everything that decides its bits, in frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from i2e_deploy.chips.options import Order
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr
from i2e_deploy.training.losses import Loss
from i2e_deploy.training.mixing import Mixing
from i2e_deploy.training.optimising import Optimising

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class FitConfig:
    """How to train.

    Args:
        epochs: passes over the training set.
        batch_size: samples a step, over all devices together.
        seed: of the order of samples, of what is random about them, and of dropout.
        loss: what is made small.
        optimising: how weights move.
        mixing: how training samples are changed.
        through: "" trains in floats; else a semantics of the chip's programs (`timestep`, `event`, `chip`): the forward
            pass has the spikes that the chip's integers give, see `training.through`.
        chip: name of the chip on whose integers every epoch is tested; "": none.
        semantics: in which they run; "": what `through` says, else the chip's first.
        order: in which the events of a step enter an asynchronous chip, where the data are no recordings.
        chip_samples: test samples that run on the integers after each epoch, taken evenly; 0: all.
        merged: share of the epochs, from the first, in which all steps of a sample enter as one, for a T-th of the
            computing. What neurons that only add learn so holds step by step but for the order in which spikes come,
            which the other epochs teach. These epochs train in floats; every epoch is tested step by step. Other
            networks are refused as they are read for the chip, see `training.merging`.
        precision: `bfloat16` computes convolutions and matrix products in it (torch's autocast); neurons and weights
            stay float32. The chip's integers are exact either way. Refused on a CPU without instructions for it.

    Raises:
        InputError: a value out of range, or two that exclude each other.
    """

    epochs: int = 12
    batch_size: int = 50
    seed: int = 0
    loss: Loss = field(default_factory=Loss)
    optimising: Optimising = field(default_factory=Optimising)
    mixing: Mixing = field(default_factory=Mixing)
    through: str = ""
    chip: str = ""
    semantics: str = ""
    order: Order = "spread"
    chip_samples: int = 500
    merged: float = 0.0
    precision: Precision = "float32"

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.chip_samples < 0:
            given = f"epochs {self.epochs}, batch_size {self.batch_size}, chip_samples {self.chip_samples}"
            raise InputError(f"training: {given}: the first two are at least 1, the last 0 or more")
        if not 0 <= self.merged <= 1:
            raise InputError(f"training: merged is {self.merged}: give a share of the epochs, 0 to 1")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"training: seed is {self.seed}: give 0 to 2^32 - 1")
        if self.precision not in get_args(Precision):
            why = "small gradients become 0 in float16: " if str(self.precision) == "float16" else ""
            known = ", ".join(get_args(Precision))
            raise InputError(f"training: precision {self.precision!r}: {why}choose one of {known}")
        if (self.through or self.semantics) and not self.chip:
            raise InputError(f"training: through {self.through or self.semantics!r} needs the chip: name it")
        if self.merged and not self.chip:
            raise InputError(f"training: merged {self.merged} needs the chip, as it is read for it: name it")
        if self.loss.limits == "chip" and not self.chip:
            raise InputError("training: limits of the chip need the chip: name it")
        if self.through and self.loss.readout == "membrane":
            raise InputError("training: through the chip the loss sees spikes: take the readout 'spikes'")

    @property
    def merged_epochs(self) -> int:
        """How many epochs `merged` is."""
        return int(self.merged * self.epochs)

    def flat(self) -> dict[str, Any]:
        """Every setting by its dotted name, as JSON holds it."""
        return dict(_flattened("", asdict(self)))


def _flattened(path: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        inside = isinstance(value, Mapping)
        plain = list(value) if isinstance(value, tuple) else value
        found += _flattened(f"{path}{name}.", value) if inside else [(f"{path}{name}", plain)]
    return found
