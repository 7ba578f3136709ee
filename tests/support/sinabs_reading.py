"""Small Sinabs modules, and how far what is read from one differs from its own forward."""

from __future__ import annotations

from typing import Any

import numpy as np
import sinabs.layers as sl
import torch
from torch import nn

from i2e_deploy.network import Network, from_sinabs

SHAPE = (2, 8, 8)
FRAMES = torch.from_numpy(np.random.default_rng(0).poisson(0.7, (6, *SHAPE))).float()  # one sample of 6 steps


def conv(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return nn.Conv2d(2, 3, 3)


def neurons(**options: Any) -> Any:
    return sl.IAFSqueeze(**{"batch_size": 1, "min_v_mem": -1.0, **options})


def read(*modules: nn.Module) -> Network:
    return from_sinabs(nn.Sequential(*modules), SHAPE)


def differing(network: Network, module: nn.Module) -> float:
    """Share of the module's output that the network gives otherwise than up to rounding."""
    for part in module.modules():
        if isinstance(part, sl.StatefulLayer):
            part.reset_states()
    with torch.no_grad():
        theirs = module.eval()(FRAMES).flatten(1).numpy()
    ours = network.run(FRAMES[None]).output[0]
    return float((np.abs(ours - theirs) > 1e-4 * np.abs(theirs).max()).mean())
