"""The card of a data set: what a network, a bundle and an evaluation must know of the data that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from i2e_deploy.errors import FileFormatError
from i2e_deploy.text import record_repr

#: Version of a card in a file; a newer one is refused, an older one read.
CARD_VERSION = 1
#: Most classes, and longest name of one in characters, that are read from a file.
MAX_CLASSES, MAX_NAME = 2**20, 1000
#: Longest step, microseconds.
MAX_STEP_US = 2**31


@dataclass(frozen=True)
class Card:
    """How samples become frames, and what the outputs of a network mean.

    Args:
        classes: names, by number of the output; empty for a regression.
        input_shape: (C, H, W).
        steps: T.
        step_us: length of a step in microseconds; None: the data do not say it.
        preprocessing: how samples became frames, plain JSON values: `kind` (`pictures`, `recordings`, `shards`,
            `frames`), and of pictures `size`, `fit`, `resample`, `s_th0`, `order`; `binary`: 0 and 1 instead of counts.
        split: which samples were for training, plain JSON values: `given` or `drawn` with its seed, sizes of the parts.
    """

    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    steps: int
    step_us: int | None = None
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = record_repr

    def record(self) -> dict[str, Any]:
        """For a file: plain JSON values."""
        return {
            "version": CARD_VERSION,
            "classes": list(self.classes),
            "input_shape": list(self.input_shape),
            "steps": self.steps,
            "step_us": self.step_us,
            "preprocessing": dict(self.preprocessing),
            "split": dict(self.split),
        }


def card_of(record: Any, where: str) -> Card | None:
    """The card that a file holds; None: it holds none, as files from before cards.

    Raises:
        FileFormatError: damaged, or of a newer version; `where` names the file.
    """
    if record is None:
        return None
    version = record.get("version") if isinstance(record, dict) else None
    if type(version) is int and version > CARD_VERSION:
        raise FileFormatError(f"{where}: its card has version {version}: this program reads up to {CARD_VERSION}")
    try:
        classes, shape = tuple(record["classes"]), tuple(record["input_shape"])
        steps, step_us = record["steps"], record["step_us"]
        whole = all(type(n) is int and n > 0 for n in (*shape, steps)) and version == CARD_VERSION and len(shape) == 3
        named = len(classes) <= MAX_CLASSES and len(set(classes)) == len(classes)
        if not whole or not named or not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in classes):
            raise ValueError("a value is none of a card")
        if step_us is not None and not (type(step_us) is int and 1 <= step_us <= MAX_STEP_US):
            raise ValueError(f"step_us {step_us}")
        return Card(classes, shape, steps, step_us, dict(record["preprocessing"]), dict(record["split"]))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{where}: its card is damaged ({type(error).__name__}: {error})") from error
