"""SynSense DYNAP-CNN chips (Speck2e, Speck2f): asynchronous convolution cores with 8-bit weights.

`program` holds the integers, `reference` defines what they do in time steps and as events, `engine` computes the same
fast. `lowering` makes them of a network, `checks` says whether they fit, `estimates` what they cost, `formats` are the
chip's files, `targets` the hardware. `chip` ties them together.
"""

from i2e_deploy.chips.dynapcnn.chip import DynapcnnChip as DynapcnnChip
from i2e_deploy.chips.dynapcnn.program import CoreLayer as CoreLayer
from i2e_deploy.chips.dynapcnn.program import Source as Source
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions as EventOptions
from i2e_deploy.chips.dynapcnn.runnable import DynapcnnProgram as DynapcnnProgram
