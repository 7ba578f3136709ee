"""SynSense DYNAP-CNN chips (Speck2e, Speck2f): asynchronous convolution cores with 8-bit weights.

`stages` arranges a network as cores, `rules` and `placement` check it, `quantise` makes its integers,
`reference` defines what they compute, `engine` computes the same fast.
"""

from i2e_deploy.chips.dynapcnn.chip import DynapcnnChip as DynapcnnChip
from i2e_deploy.chips.dynapcnn.fit import Fitted as Fitted
from i2e_deploy.chips.dynapcnn.program import CoreLayer as CoreLayer
from i2e_deploy.chips.dynapcnn.program import DynapcnnProgram as DynapcnnProgram
from i2e_deploy.chips.dynapcnn.program import Source as Source
