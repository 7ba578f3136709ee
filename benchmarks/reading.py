"""What the judge costs: reading a module with an example beside reading alone and beside one pass of the module.

    python benchmarks/reading.py [--turns 15] > benchmarks/results/reading.txt

Median milliseconds of turns, one thread; the passes of the module are in the same turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from rows import machine
from sinabs.layers import IAFSqueeze
from torch import nn

from i2e_deploy.network import from_sinabs
from i2e_deploy.training.digits import build_digit_network


def gesture_network() -> nn.Sequential:
    """Eight convolutions on 2x128x128, the size of DVS gesture networks."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 2
    for out, stride in ((8, 2), (16, 2), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (11, 4)):
        layers += [nn.Conv2d(channels, out, 3, stride, 1, bias=False), IAFSqueeze(batch_size=1, min_v_mem=-1.0)]
        channels = out
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(3)
    return nn.Sequential(*layers, nn.Flatten())


def milliseconds(run: Callable[[], Any]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=15)
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    print(f"{machine()}, one thread")
    heads = f"{'network':10}{'samples x steps':>16}{'forward ms':>12}{'read ms':>9}"
    print(f"{heads}{'read and judged ms':>20}{'judged / forward':>17}")
    cases = (
        ("digits", build_digit_network(8, torch.Generator().manual_seed(0)), (2, 32, 32), (2, 8)),
        ("gesture", gesture_network(), (2, 128, 128), (1, 20)),
    )
    for name, module, shape, (samples, steps) in cases:
        frames = rng.poisson(0.2, (samples, steps, *shape))
        given = torch.from_numpy(frames).float().flatten(0, 1)
        for part in module.modules():
            if isinstance(part, IAFSqueeze):
                part.batch_size, part.num_timesteps = samples, steps
        rows = []
        for turn in range(turns + 1):
            with torch.no_grad():
                forward = milliseconds(lambda module=module, given=given: module(given))  # type: ignore[misc]
            read = milliseconds(lambda module=module, shape=shape: from_sinabs(module, shape))  # type: ignore[misc]
            judged = milliseconds(
                lambda module=module, shape=shape, frames=frames: from_sinabs(module, shape, frames)  # type: ignore[misc]
            )
            if turn:  # the first one warms up
                rows.append((forward, read, judged))
        tell(name, f"{samples} x {steps}", rows)
    slayer(turns)


def slayer(turns: int) -> None:
    """The same of two SLAYER recipes, where lava-dl is installed."""
    from i2e_deploy.chips.loihi2 import from_slayer
    from i2e_deploy.errors import MissingDependency
    from i2e_deploy.training.slayer import slayer_output
    from i2e_deploy.training.slayer_networks import RECIPES, build_slayer

    frames = (np.random.default_rng(0).random((4, 8, 2, 32, 32)) < 0.1).astype(np.uint8)
    for name in ("dense", "conv"):
        try:
            module = build_slayer(RECIPES[name][0]).eval()
        except MissingDependency as error:
            print(f"{name:10}not run: {error}")
            return
        rows = []
        for turn in range(turns + 1):
            forward = milliseconds(lambda module=module: slayer_output(module, frames))  # type: ignore[misc]
            read = milliseconds(lambda module=module: from_slayer(module, (2, 32, 32)))  # type: ignore[misc]
            judged = milliseconds(lambda module=module: from_slayer(module, (2, 32, 32), example=frames))  # type: ignore[misc]
            if turn:
                rows.append((forward, read, judged))
        tell(f"L2 {name}", "4 x 8", rows)


def tell(name: str, size: str, rows: Sequence[tuple[float, float, float]]) -> None:
    """A line of the table."""
    forward, read, judged = np.median(rows, axis=0)
    print(f"{name:10}{size:>16}{forward:12.2f}{read:9.2f}{judged:20.2f}{judged / forward:17.2f}")


if __name__ == "__main__":
    main()
