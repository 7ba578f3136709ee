"""RANC's simulator files: its input (cores, neurons, packets) and configuration, as UA-RCL/RANC at commit 08ae4bd reads
them (`simulator/src/decode.hpp`, `config.hpp`).

RANC is a free reimplementation. What it has otherwise than TrueNorth, by its source:

- a packet of `destination_tick` d arrives d + 1 ticks later (`schedulersram.cpp`);
- a neuron under its negative threshold resets or has the threshold subtracted, it never stays there (no kappa);
- no reset mode that keeps the potential, no leak reversal, nothing stochastic;
- potentials are 32-bit integers that do not saturate;
- an output bus takes the place of a core, and packets to it arrive at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from i2e_deploy.chips.trace import Integers
from i2e_deploy.chips.truenorth.program import AXONS, KEEP, NEURONS, NOWHERE, SLOTS, TO_VALUE, TYPES, CoreNetwork
from i2e_deploy.errors import UnsupportedError

#: A negative threshold that no potential reaches; RANC's integers have 32 bits.
NO_FLOOR = -(2**30)
#: The largest floor that the chip has: potentials that saturate there are let go on in RANC.
DEEPEST = 2**18 - 1


@dataclass(frozen=True)
class Grid:
    """Where cores and the output bus stand: core k at (k % width, k // width), the bus behind the last one."""

    width: int
    height: int
    bus: int

    def at(self, core: int) -> list[int]:
        """Coordinates of a core."""
        return [core % self.width, core // self.width]


def grid_of(network: CoreNetwork) -> Grid:
    """The smallest square that holds all cores and the bus."""
    count = len(network.cores)
    width = int(np.ceil(np.sqrt(count + 1)))
    return Grid(width, -(-(count + 1) // width), count)


def refuse(network: CoreNetwork) -> None:
    """Raise UnsupportedError where RANC computes something else."""
    cores = network.cores
    exists = np.arange(NEURONS)[None] < cores.sizes[:, None]
    stays = cores.saturate.astype(bool) & (cores.floor < DEEPEST)
    found = {
        "random numbers": cores.stochastic.any(),
        "leaks that turn with the sign of the potential": (cores.leak_reversal.astype(bool) & exists).any(),
        "neurons that fire and keep their potential": ((cores.reset == KEEP) & exists).any(),
        "a lower bound at which potentials stay (train with min_v=None)": (stays & exists).any(),
        "input that arrives later than the tick of its frame": network.input_delay.any(),
    }
    if names := [name for name, there in found.items() if there]:
        raise UnsupportedError(f"RANC has no {', no '.join(names)}: verify on simulator or reference")


def config_json(network: CoreNetwork, trace: bool) -> dict[str, int]:
    """The configuration; `trace`: potentials and spikes of every neuron are logged."""
    grid = grid_of(network)
    return {
        "num_neurons": int(network.cores.sizes.max()),
        "num_axons": used_axons(network),
        "num_cores_x": grid.width,
        "num_cores_y": grid.height,
        "num_weights": TYPES,
        "max_tick_offset": SLOTS,
        "neuron_block_trace_verbosity": int(trace),
        "core_controller_trace_verbosity": 0,
        "scheduler_trace_verbosity": 0,
        "neuron_reset_type": 0,
    }


def used_axons(network: CoreNetwork) -> int:
    """Axons of a core up to the last one that anything reaches, of the core with most."""
    reached = np.concatenate([network.input_axon, network.cores.target[network.cores.target >= 0]])
    return int((reached % AXONS).max(initial=0)) + 1


def input_json(network: CoreNetwork, frames: Integers | None = None) -> dict[str, Any]:
    """The input: all cores, and the packets of one sample [T, N].

    Output neurons go to the bus in their order; neurons that go nowhere go to a line of the bus behind them.

    Raises:
        UnsupportedError: see `refuse`.
    """
    refuse(network)
    grid, output = grid_of(network), network.layers[-1]
    return {
        "packets": [] if frames is None else [_packets(network, grid, frame) for frame in frames],
        "output_bus": {"coordinates": grid.at(grid.bus), "num_outputs": output.size + 1},
        "cores": [_core(network, grid, core) for core in range(len(network.cores))],
    }


def _packets(network: CoreNetwork, grid: Grid, frame: Integers) -> list[dict[str, Any]]:
    axons = network.input_axon[frame[network.input_line] > 0]
    return [
        {"destination_core": grid.at(int(a) // AXONS), "destination_axon": int(a) % AXONS, "destination_tick": 0}
        for a in axons
    ]


def _core(network: CoreNetwork, grid: Grid, core: int) -> dict[str, Any]:
    cores, axons, size = network.cores, used_axons(network), int(network.cores.sizes[core])
    synapses = np.unpackbits(cores.crossbar[core], axis=1, bitorder="little")[:axons, :size]
    lines = {int(n): i for i, n in enumerate(network.layers[-1].neurons)}
    return {
        "axons": cores.axon_type[core, :axons].tolist(),
        "neurons": [_neuron(network, grid, core, neuron, lines) for neuron in range(size)],
        "connections": synapses.T.tolist(),
        "coordinates": grid.at(core),
    }


def _neuron(network: CoreNetwork, grid: Grid, core: int, neuron: int, lines: dict[int, int]) -> dict[str, Any]:
    cores, target = network.cores, int(network.cores.target[core, neuron])
    if target == NOWHERE:
        to, axon = grid.bus, lines.get(core * NEURONS + neuron, len(lines))
    else:
        to, axon = target // AXONS, target % AXONS
    (x, y), (own_x, own_y) = grid.at(to), grid.at(core)
    floor = int(cores.floor[core, neuron])
    return {
        "reset_potential": int(cores.reset_value[core, neuron]),
        "weights": cores.weight[core, neuron].tolist(),
        "leak": int(cores.leak[core, neuron]),
        "positive_threshold": int(cores.threshold[core, neuron]),
        "negative_threshold": NO_FLOOR if cores.saturate[core, neuron] else -floor,
        "destination_core_offset": [x - own_x, y - own_y],
        "destination_axon": axon,
        "destination_tick": int(cores.delay[core, neuron]) - 1,
        "current_potential": int(cores.start[core, neuron]),
        "reset_mode": 0 if cores.reset[core, neuron] == TO_VALUE else 1,
    }


def as_bytes(data: dict[str, Any]) -> bytes:
    """As a file holds it."""
    return json.dumps(data, separators=(",", ":")).encode()
