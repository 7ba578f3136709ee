"""An invented chip: clocked crossbars of ternary weights, 8-bit states that saturate, one dense layer a core."""

from toy_chip.chip import ToyChip as ToyChip
from toy_chip.layers import TernaryNeuron as TernaryNeuron
