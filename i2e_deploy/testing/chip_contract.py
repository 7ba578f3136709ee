"""The contract of a chip as a pytest suite: what every chip package runs on itself, and what says when it is done.

    from i2e_deploy.testing.chip_contract import ChipContract, Refused, Subject

    class TestMyChip(ChipContract):
        subject = Subject(
            chip="my_chip",
            draw=lambda seed: small_network(seed),
            frames=lambda network, seed, samples, steps: spikes(network.input_shape, seed, samples, steps),
            deployed=lambda: network_on_images(),
            too_large={"neurons of a core": Refused("wide", lambda: network_with_a_wide_layer())},
            unsupported={"pooling": Refused("pool", lambda: network_with_a_pool())},
        )

It needs pytest and nothing else, draws everything from seeds, and finds the chip by its name, as users do: the package
must be installed. A chip with several semantics names them; a family of chips has a class for each.
"""

from __future__ import annotations

from i2e_deploy.testing.contract.commands import Commands
from i2e_deploy.testing.contract.files import OnDisk
from i2e_deploy.testing.contract.refusals import Refusals
from i2e_deploy.testing.contract.runs import Runs
from i2e_deploy.testing.contract.subject import Refused, Subject

__all__ = ["ChipContract", "Refused", "Subject"]


class ChipContract(Runs, OnDisk, Refusals, Commands):
    """All tests of a chip; a subclass gives `subject`, see `Subject`."""
