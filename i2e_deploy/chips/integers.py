"""Networks that are one chip's integers from the start, as its own training library or file format holds them."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from i2e_deploy.network.graph import Network
from i2e_deploy.text import shape_text


class IntegerNetwork(ABC):
    """A trained network in the integers of one family of chips, which needs no lowering; see `TakesIntegers`."""

    #: Key under which a network file holds such a network, and by which its chip is found again.
    kind: ClassVar[str]
    #: What the integers are, in errors of other chips, e.g. "SLAYER's integer blocks".
    title: ClassVar[str]
    input_shape: tuple[int, ...]

    def summary(self) -> str:
        """What it is, then a line a layer where the chip says one; see `Network.summary`."""
        return f"{self.title}: input {shape_text(self.input_shape)}"


#: What a chip may be asked to lower; each chip refuses what it has no counterpart for.
AnyNetwork = Network | IntegerNetwork
