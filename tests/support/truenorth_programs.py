"""Drawn TrueNorth programs, core by core: what no lowering makes too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.program import (
    KEEP,
    NOWHERE,
    SUBTRACT,
    TO_VALUE,
    CoreNetwork,
    Layer,
    empty_cores,
)


def draw_program(seed: int, stochastic: bool = False, for_ranc: bool = False, large: bool = False) -> CoreNetwork:
    """One to four layers of one or two cores each; targets anywhere, loops and shared axons included.

    Args:
        for_ranc: only what RANC has too.
        large: potentials that reach their ends.
    """
    rng = np.random.default_rng([seed, stochastic, for_ranc, large])
    groups = [int(n) for n in rng.integers(1, 3, rng.integers(1, 5))]
    count = sum(groups)
    cores = empty_cores(count)
    cores.sizes[:] = rng.integers(4, 40, count)
    cores.sizes[rng.random(count) < 0.2] = 256
    cores.crossbar[:] = np.packbits(rng.random((count, 256, 256)) < 0.2, axis=2, bitorder="little")
    cores.axon_type[:] = rng.integers(0, 4, (count, 256))
    reach = 255 if large else 40
    cores.weight[:] = rng.integers(-reach, reach + 1, cores.weight.shape)
    cores.leak[:] = rng.integers(-reach, reach + 1, cores.leak.shape) * (rng.random(cores.leak.shape) < 0.5)
    high = 2**18 if large else 200
    cores.threshold[:] = rng.integers(0, high, cores.threshold.shape)
    cores.floor[:] = rng.integers(0, high, cores.floor.shape)
    cores.reset[:] = rng.choice([TO_VALUE, SUBTRACT] if for_ranc else [TO_VALUE, SUBTRACT, KEEP], cores.reset.shape)
    cores.reset_value[:] = rng.integers(-50, 51, cores.reset_value.shape)
    cores.start[:] = rng.integers(-high, high, cores.start.shape)
    cores.delay[:] = rng.integers(1, 16, cores.delay.shape)
    cores.target[:] = rng.integers(0, count * 256, cores.target.shape)
    cores.target[rng.random(cores.target.shape) < 0.1] = NOWHERE
    if not for_ranc:
        cores.saturate[:] = rng.random(cores.saturate.shape) < 0.5
        cores.leak_reversal[:] = rng.random(cores.leak_reversal.shape) < 0.3
    alike = rng.random(count) < 0.3  # cores of equal neurons have a kernel of their own
    for name in ("leak", "threshold", "floor", "reset", "reset_value", "saturate"):
        field = getattr(cores, name)
        field[alike] = field[alike, :1]
    cores.leak_reversal[alike] = 0
    if stochastic:
        drawn = rng.random(count) < 0.7
        drawn[0] = True
        cores.stochastic_weight[drawn] = rng.random((int(drawn.sum()), 256, 4)) < 0.5
        cores.stochastic_leak[drawn] = rng.random((int(drawn.sum()), 256)) < 0.5
        cores.threshold_mask[drawn] = 2 ** rng.integers(0, 9, (int(drawn.sum()), 256)) - 1
    exists = np.arange(256)[None] < cores.sizes[:, None]
    last = count - groups[-1]
    cores.target[last:] = np.where(rng.random((groups[-1], 256)) < 0.5, NOWHERE, cores.target[last:])
    cores.target[~exists] = NOWHERE
    layers, first = [], 0
    for i, size in enumerate(groups):
        each = np.flatnonzero(exists[first : first + size]) + first * 256
        if i == len(groups) - 1:
            each = each[cores.target.reshape(-1)[each] == NOWHERE]
        neurons = rng.permutation(each)[: max(1, len(each) // 2)].astype(np.int32)
        layers.append(Layer(f"layer{i}", (len(neurons),), first, first + size, neurons))
        first += size
    lines = int(rng.integers(3, 60))
    driven = int(rng.integers(lines, 300))
    return CoreNetwork(
        input_shape=(lines,),
        cores=cores,
        layers=tuple(layers),
        input_line=rng.integers(0, lines, driven).astype(np.int32),
        input_axon=rng.integers(0, count * 256, driven).astype(np.int32),
        input_delay=(np.zeros(driven) if for_ranc else rng.integers(0, 16, driven)).astype(np.uint8),
        seed=int(rng.integers(0, 2**32)),
    )


def draw_frames(network: CoreNetwork, seed: int, samples: int, steps: int) -> NDArray[np.uint8]:
    """Mostly 0 and 1."""
    rng = np.random.default_rng([seed, 1])
    return rng.choice(3, (samples, steps, *network.input_shape), p=[0.6, 0.35, 0.05]).astype(np.uint8)
