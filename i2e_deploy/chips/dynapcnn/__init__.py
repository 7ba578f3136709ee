"""SynSense DYNAP-CNN chips (Speck2e, Speck2f): asynchronous convolution cores with 8-bit weights.

`lowering` makes cores and integers of a network, `checks` says whether they fit, `program` holds them.
`timestep` and `event` compute them under two semantics, each with its slow definition, `reference`, and an
`engine` equal to it; `peripherals` are the blocks around the cores. `export` and `board` go to the hardware.
"""

from i2e_deploy.chips.dynapcnn.checks.fit import Fitted as Fitted
from i2e_deploy.chips.dynapcnn.chip import DynapcnnChip as DynapcnnChip
from i2e_deploy.chips.dynapcnn.program import CoreLayer as CoreLayer
from i2e_deploy.chips.dynapcnn.program import DynapcnnProgram as DynapcnnProgram
from i2e_deploy.chips.dynapcnn.program import Source as Source
