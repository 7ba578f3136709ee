"""Intel Loihi 2: clocked cores, 24-bit state, integer synapses.

`layers` and `neurons` say what the numbers do, `reference` defines a run, `engine` computes the same fast,
`checks` says whether it fits, `lava` hands over to Intel's software.
"""

from i2e_deploy.chips.loihi2.chip import Loihi2Chip as Loihi2Chip
from i2e_deploy.chips.loihi2.program import LoihiProgram as LoihiProgram
