"""What eight simulators recorded of one LIF neuron (NIR paper, task 1), and the float run beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.network import Network

#: By simulator its method, its reset, by how many steps its record is late, its unit of voltage, and how far voltages
#: may be apart; exact and Lava have no method of ours, Spyx shows the voltage after the input.
SIMULATORS = {
    "norse": ("euler", "zero", 0, 1.0, 1e-7),
    "snntorch": ("euler", "zero", 0, 25.0, 1e-7),
    "nengo": ("exponential", "zero", 0, 10.0, 1e-7),
    "rockpool": ("rockpool", "subtract", 0, 1.0, 1e-7),
    "sinabs": ("rockpool", "subtract", 0, 1.0, 1e-7),
    "exact": ("exponential", "subtract", 0, 1.0, 1e-3),
    "lava_cpu_float": ("euler", "zero", 1, 1.0, 2e-4),
    "spyx": ("euler", "subtract", 1, 1.0, 0.041),
}
#: A step of the paper's files, s.
DT = 1e-4


def traced(network: Network, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Voltage and spike of the last neuron in each step, for its input [T]."""
    voltages, spikes, states = [], [], None
    for value in x:
        trace = network.run(np.full((1, 1, 1), value), states, dtype="float64")
        states = trace.states
        voltages.append(float(states[network.layers[-1].name]["v_mem"].reshape(-1)[0]))
        spikes.append(float(trace.output.reshape(-1)[0]))
    return np.array(voltages), np.array(spikes)
