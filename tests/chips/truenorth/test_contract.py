"""The contract suite on TrueNorth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from truenorth_networks import one_layer, subject, whole

from i2e_deploy.chips import LowerOptions
from i2e_deploy.network import IntegrateAndFire, Network
from i2e_deploy.testing.chip_contract import ChipContract
from i2e_deploy.testing.contract.files import OnDisk
from i2e_deploy.testing.contract.runs import Runs


class TestTrueNorth(ChipContract):
    subject = subject()


def in_parts(seed: int) -> Network:
    """Neurons of more inputs than a core has axons."""
    rng = np.random.default_rng([seed, 8])
    return one_layer(whole(rng, (3, 300), 1, 1.0), IntegrateAndFire(3.0, None, 1))


class TestSumsInParts(Runs, OnDisk):
    """What `--split` makes, lowered with the option."""

    subject = replace(subject(2), draw=in_parts, options=LowerOptions(split=True))
