"""Intel Loihi 2: clocked cores, 24-bit state, integer synapses.

`program` holds the integers, `reference` defines a run, `engine` computes the same fast, `checks` says whether it fits,
`estimates` what it costs, `formats` reads SLAYER modules and netx files, `targets` hands over to Intel's software.
`lowering` makes integers of float networks. `chip` ties them together.
"""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.chips.loihi2.chip import Loihi2Chip as Loihi2Chip
    from i2e_deploy.chips.loihi2.formats.netx_read import read_netx as read_netx
    from i2e_deploy.chips.loihi2.formats.netx_write import write_netx as write_netx
    from i2e_deploy.chips.loihi2.formats.slayer import from_slayer as from_slayer
    from i2e_deploy.chips.loihi2.neuron import Reset as Reset
    from i2e_deploy.chips.loihi2.program import Block as Block
    from i2e_deploy.chips.loihi2.program import BlockNetwork as BlockNetwork
    from i2e_deploy.chips.loihi2.program import Connection as Connection
    from i2e_deploy.chips.loihi2.program import ConvSynapse as ConvSynapse
    from i2e_deploy.chips.loihi2.program import CubaLif as CubaLif
    from i2e_deploy.chips.loihi2.program import Delta as Delta
    from i2e_deploy.chips.loihi2.program import DenseSynapse as DenseSynapse
    from i2e_deploy.chips.loihi2.program import Resonator as Resonator
    from i2e_deploy.chips.loihi2.program import Sigma as Sigma
    from i2e_deploy.chips.loihi2.program import SigmaDelta as SigmaDelta
    from i2e_deploy.chips.loihi2.programmable import ProgrammableLif as ProgrammableLif
    from i2e_deploy.chips.loihi2.relay import Relay as Relay
    from i2e_deploy.chips.loihi2.runnable import LoihiProgram as LoihiProgram
    from i2e_deploy.chips.loihi2.runnable import LoihiSemantics as LoihiSemantics
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "chip": "Loihi2Chip",
            "formats.netx_read": "read_netx",
            "formats.netx_write": "write_netx",
            "formats.slayer": "from_slayer",
            "neuron": "Reset",
            "program": "Block BlockNetwork Connection ConvSynapse CubaLif Delta DenseSynapse Resonator "
            "Sigma SigmaDelta",
            "programmable": "ProgrammableLif",
            "relay": "Relay",
            "runnable": "LoihiProgram LoihiSemantics",
        },
    )
