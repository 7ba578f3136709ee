"""From float networks to Loihi 2: exact where the numbers can be, aligned in time, and honest about what is lost."""

from __future__ import annotations

import numpy as np
import pytest
from lowering_nets import aligned, drawn, float_spikes, frames_of

from i2e_deploy.chips.loihi2 import ProgrammableLif
from i2e_deploy.chips.loihi2.lowering.lower import Lowered, lower
from i2e_deploy.chips.loihi2.lowering.stages import ALWAYS
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Network


def lowered_or_none(network: Network) -> Lowered | None:
    """None: a bias fires its layer before the first input can arrive, and a delay keeps that."""
    try:
        return lower(network)
    except UnsupportedError as error:
        if "fires by its bias alone" in str(error):
            return None
        raise


@pytest.mark.parametrize("part", range(8))
def test_numbers_that_the_chip_has_give_the_spikes_of_the_float_run(part: int) -> None:
    """Weights, decays and thresholds that integers hold exactly: every spike of every layer is equal, in every step."""
    fired = beyond = refused = 0
    for seed in range(part, 240, 8):
        network = drawn(seed)
        lowered = lowered_or_none(network)
        if lowered is None:
            refused += 1
            continue
        frames = frames_of(network, seed, most=1 + seed % 3)
        for loss in lowered.losses:
            assert max(loss.weight_error, loss.threshold_error, loss.leak_error, loss.bias_error) < 1e-4, (seed, loss)
        for name, sent in aligned(lowered, frames).items():
            if name == ALWAYS:
                continue
            wanted = float_spikes(network, name, frames)
            assert np.array_equal(sent, wanted), (seed, name)
            fired += int(wanted.sum())
        beyond += any(isinstance(block.neuron, ProgrammableLif) for block in lowered.network.blocks)
    assert fired > 500
    assert beyond > 5
    assert refused <= 3
