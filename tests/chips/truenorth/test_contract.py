"""The contract suite on TrueNorth."""

from __future__ import annotations

from truenorth_networks import subject

from i2e_deploy.testing.chip_contract import ChipContract


class TestTrueNorth(ChipContract):
    subject = subject()
