"""Accuracy of one trained network in time steps and as the asynchronous chip, by order of injection; then fine-tuned.

i2e-deploy demo --out demo_output
python benchmarks/injection.py demo_output/network.safetensors --finetune 1 > benchmarks/results/injection.txt
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.datasets.images import resize
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.network import Network
from i2e_deploy.network.file import read_network
from i2e_deploy.runtime.evaluate import wilson

Frames = NDArray[np.uint8]
CHIP = DynapcnnChip("speck2f")
ORDERS = ("raster", "interleaved", "shuffled", "spread")


def row(title: str, trace: Any, labels: NDArray[np.int64]) -> None:
    """Accuracy with its 95 % interval, and spikes per sample and layer."""
    correct, total = int((trace.decisions() == labels).sum()), len(labels)
    low, high = wilson(correct, total)
    spikes = " ".join(f"{counts.spikes / total:6.0f}" for counts in trace.counts.values())
    print(f"{title:28s} {100 * correct / total:5.1f} %  ({100 * low:.1f} to {100 * high:.1f})  {spikes}", flush=True)


def table(program: DynapcnnProgram, frames: Frames, labels: NDArray[np.int64], step_us: int = 1000) -> None:
    """All orders."""
    row("timestep", program.run(frames), labels)
    for order in ORDERS:
        seeds = range(3) if order == "shuffled" else range(1)
        for seed in seeds:
            options = EventOptions(order=order, seed=seed, step_us=step_us)  # type: ignore[arg-type]
            name = f"event, {order}" + (f", seed {seed}" if len(seeds) > 1 else "")
            row(name, program.run(frames, "event", options=options), labels)


def to_sinabs(network: Network, steps: int) -> torch.nn.Sequential:
    """The demo's network with these weights, ready to train."""
    from i2e_deploy.training.digits import build_digit_network

    module = build_digit_network(steps, torch.Generator().manual_seed(0))
    weighted = [layer.op for layer in network.layers if hasattr(layer.op, "weight")]
    with torch.no_grad():
        targets = [layer for layer in module if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
        for layer, op in zip(targets, weighted, strict=True):
            layer.weight.copy_(torch.from_numpy(op.weight))
    return module


def main() -> None:
    """Tables before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--finetune", type=int, default=0, help="epochs of fine-tuning through the event semantics")
    parser.add_argument("--samples", type=int, default=1000)
    arguments = parser.parse_args()
    train, test = load_mnist5k(0)
    convert = lambda images: i2e_torch(torch.from_numpy(resize(images, 32))[:, None], RATIO["mnist"]).numpy()  # noqa: E731
    frames, labels = convert(test.images[: arguments.samples]), test.labels[: arguments.samples]
    network = read_network(arguments.network)
    print(f"{len(frames)} test digits as I2E events; correct (95 % interval), spikes per digit and layer")
    table(CHIP.lower(network), frames, labels)
    if not arguments.finetune:
        return
    from i2e_deploy.network import from_sinabs
    from i2e_deploy.training.asynchronous import FinetuneConfig, finetune

    data = (convert(train.images), train.labels)
    for order in ("spread", "raster"):
        module = to_sinabs(network, frames.shape[1])
        options = replace(EventOptions(), order=order)
        finetune(module, data, CHIP, options, FinetuneConfig(epochs=arguments.finetune, learning_rate=1e-4))
        print(f"\nafter {arguments.finetune} epoch(s) of fine-tuning through the event semantics, order {order}")
        table(CHIP.lower(from_sinabs(module, frames.shape[2:])), frames, labels)


if __name__ == "__main__":
    main()
