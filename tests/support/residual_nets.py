"""Draw residual networks whose numbers Loihi 2 has exactly: sums of membrane inputs, and maxima of values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from lowering_nets import GRID, bias_of, even, standard

from i2e_deploy.network import INPUT, Add, Conv2d, Flatten, Layer, LeakyIntegrateAndFire, Linear, MaxPool2d, Network
from i2e_deploy.network.neurons import parameter
from i2e_deploy.network.op import Op


def residual_network(seed: int, wide: bool = True) -> Network:
    """A stem with or without a maximum of its values, two or three blocks in one or two stages, and a readout.

    `wide`: so many channels that sums are carried; else they are computed for each reader.
    """
    rng = np.random.default_rng([seed, 11])
    layers: list[Layer] = []
    channels, size = (6, 8) if wide else (2, 6)

    def add(name: str, op: Op, *inputs: str) -> str:
        layers.append(Layer(name, op, inputs))
        return name

    def fire(name: str, at: str) -> str:
        return add(name, lif(rng), at)

    at = add("stem", Conv2d(even(rng, channels, 2, 3, 3), bias_of(rng, channels), padding=(1, 1)), INPUT)
    shape = (channels, size, size)
    kind = int(rng.integers(4))
    if kind:
        pool = [MaxPool2d((3, 3), (2, 2), (1, 1)), MaxPool2d((2, 3), (2, 1), (0, 1)), MaxPool2d((3, 2), (1, 2))][
            kind - 1
        ]
        at, shape = add("pool", pool, at), pool.output_shape([shape])  # type: ignore[assignment]
    for stage in range(int(rng.integers(1, 3))):
        for block in range(int(rng.integers(1, 3))):
            name, down = f"b{stage}{block}", stage > 0 and block == 0
            out = 2 * shape[0] if down else shape[0]
            stride = (2, 2) if down else (1, 1)
            first = fire(f"{name} n1", at)
            conv = Conv2d(even(rng, out, shape[0], 3, 3), bias_of(rng, out), stride, (1, 1))
            second = fire(f"{name} n2", add(f"{name} c1", conv, first))
            conv = Conv2d(even(rng, out, out, 3, 3), bias_of(rng, out), padding=(1, 1))
            main = add(f"{name} c2", conv, second)
            if down:
                twin = add(f"{name} n0", next(x.op for x in layers if x.name == first), at)
                at = add(f"{name} c0", Conv2d(even(rng, out, shape[0], 1, 1), bias_of(rng, out), stride), twin)
            at = add(f"{name} sum", Add(), main, at)
            shape = (out, *((n - 1) // stride[0] + 1 for n in shape[1:]))  # type: ignore[assignment]
    at = add("flat", Flatten(), fire("last", at))
    fire("decides", add("out", Linear(even(rng, 3, int(np.prod(shape)))), at))
    return Network((2, size, size), tuple(layers))


def lif(rng: np.random.Generator) -> LeakyIntegrateAndFire:
    """The paper's neurons, firing above the threshold, which the chip's standard neuron does."""
    threshold = parameter(rng.integers(40, 240) / GRID)
    return replace(standard(rng), decay=parameter(0.5), current_decay=None, threshold=threshold)
