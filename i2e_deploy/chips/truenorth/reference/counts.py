"""What a run counts, by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers, LayerCounts
from i2e_deploy.chips.truenorth.program import CoreNetwork


@dataclass(frozen=True)
class TrueNorthCounts(LayerCounts):
    """Totals of one layer; see `LayerCounts`. `synops` are those of copies too.

    Args:
        sent: spikes of all its neurons, copies and those that hand partial sums on included.
    """

    sent: int = 0


def layer_counts(
    network: CoreNetwork, spikes: Mapping[str, Integers], per_core: NDArray[np.int64]
) -> dict[str, TrueNorthCounts]:
    """Of every layer.

    Args:
        spikes: of its values, by layer.
        per_core: int64 [K, 3]: synaptic operations, saturations, spikes.
    """
    found = {}
    for layer in network.layers:
        synops, saturations, sent = map(int, per_core[layer.first : layer.last].sum(axis=0))
        found[layer.name] = TrueNorthCounts(int(spikes[layer.name].sum()), synops, saturations, sent)
    return found
