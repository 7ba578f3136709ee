"""A plan as a float network with drawn weights, without any framework: what a chip checks."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.plans import Plan
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, LeakyIntegrateAndFire, Linear, Network, Op, chain


def network_of(plan: Plan, seed: int = 0) -> Network:
    """Weights are normal, or -1 and 1 where they are trinary; neurons are those of the plan's kind."""
    generator = np.random.default_rng(seed)
    ops: list[Op] = []
    for layer in plan.layers:
        shape = (layer.outputs, layer.inputs // layer.groups, *[layer.kernel] * 2 * bool(layer.kernel))
        drawn = generator.normal(0, 0.2, shape)
        weight = (np.sign(drawn) if plan.neurons == "trinary" else drawn).astype(np.float32)
        if layer.kernel:
            ops.append(Conv2d(weight, None, (layer.stride, layer.stride), layer.padding, groups=layer.groups))
        else:
            ops += [Flatten(), Linear(weight)]
        ops.append(neurons_of(plan))
    return chain(plan.input_shape, {str(number): op for number, op in enumerate(ops)})


def neurons_of(plan: Plan) -> Op:
    if plan.neurons == "trinary":
        return IntegrateAndFire(3.0, max_spikes=1)
    if plan.neurons == "if":
        return IntegrateAndFire(1.0, -1.0)
    decay, threshold = np.array(0.8, np.float32), np.array(1, np.float32)
    return LeakyIntegrateAndFire(decay, threshold, reset="value", max_spikes=1)
