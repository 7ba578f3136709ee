"""IBM TrueNorth: clocked cores of binary crossbars, and its published neuron."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.chips.truenorth.chip import TrueNorthChip as TrueNorthChip
    from i2e_deploy.chips.truenorth.program import CoreNetwork as CoreNetwork
    from i2e_deploy.chips.truenorth.program import Cores as Cores
    from i2e_deploy.chips.truenorth.program import Layer as Layer
    from i2e_deploy.chips.truenorth.reference.counts import TrueNorthCounts as TrueNorthCounts
    from i2e_deploy.chips.truenorth.runnable import TrueNorthProgram as TrueNorthProgram
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "chip": "TrueNorthChip",
            "program": "CoreNetwork Cores Layer",
            "reference.counts": "TrueNorthCounts",
            "runnable": "TrueNorthProgram",
        },
    )
