"""Intel Loihi 2: clocked cores, 24-bit state, integer synapses.

`program` holds the integers, `reference` defines a run, `engine` computes the same fast, `checks` says whether it fits,
`estimates` what it costs, `formats` reads SLAYER modules and netx files, `targets` hands over to Intel's software.
`chip` ties them together. There is no `lowering` yet: networks are integers from the start.
"""

from i2e_deploy.chips.loihi2.chip import Loihi2Chip as Loihi2Chip
from i2e_deploy.chips.loihi2.formats.netx_read import read_netx as read_netx
from i2e_deploy.chips.loihi2.formats.netx_write import write_netx as write_netx
from i2e_deploy.chips.loihi2.formats.slayer import from_slayer as from_slayer
from i2e_deploy.chips.loihi2.program import BlockNetwork as BlockNetwork
from i2e_deploy.chips.loihi2.runnable import LoihiProgram as LoihiProgram
