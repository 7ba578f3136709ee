"""What a run counts, by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import LayerCounts
from i2e_deploy.chips.truenorth.program import CoreNetwork
from i2e_deploy.text import record_repr


@dataclass(frozen=True)
class TrueNorthCounts(LayerCounts):
    """Totals of one layer; see `LayerCounts`. `synops` are those of copies too.

    Args:
        sent: spikes of all its neurons, copies and those that hand partial sums on included.
    """

    sent: int = 0

    __repr__ = record_repr


def layer_counts(network: CoreNetwork, per_core: NDArray[np.int64]) -> dict[str, TrueNorthCounts]:
    """Of every layer.

    Args:
        per_core: int64 [K, 4]: synaptic operations, saturations, spikes, and those of neurons that stand for values.
    """
    found = {}
    for layer in network.layers:
        synops, saturations, sent, spikes = map(int, per_core[layer.first : layer.last].sum(axis=0))
        found[layer.name] = TrueNorthCounts(spikes, synops, saturations, sent)
    return found
