"""Train a small CUBA network in SLAYER, export it, and run it on Lava's CPU runtime.

Usage: `python slayer_roundtrip.py FOLDER`, in a process of its own: Lava's `run` and `stop` can
hang. Prints one line of JSON and leaves by `os._exit`, because Lava's exit handlers can hang too.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import torch
from lava_child import run_and_exit
from numpy.typing import NDArray

from i2e_deploy.lava_shim import import_lava

STEPS = 40
CHW = (2, 8, 6)  # W != H, so that swapped axes cannot agree
Spikes = NDArray[np.int64]


def build() -> torch.nn.Sequential:
    """Conv, flatten, dense, dense; no bias, since Lava integrates it one step before SLAYER."""
    cuba = import_module("lava.lib.dl.slayer").block.cuba
    neuron = {"threshold": 1.5, "current_decay": 0.25, "voltage_decay": 0.1, "requires_grad": True}
    return torch.nn.Sequential(
        cuba.Conv(neuron, CHW[0], 4, 3, stride=2, padding=1, weight_scale=2),
        cuba.Flatten(),
        cuba.Dense(neuron, 4 * 4 * 3, 16, weight_scale=2),
        cuba.Dense(neuron, 16, 5, weight_scale=2),
    )


def train(net: torch.nn.Sequential, steps: int) -> tuple[list[float], bool]:
    """The losses, and whether every weight tensor moved."""
    frames = (torch.rand(4, *CHW, STEPS) < 0.3).float()
    labels = torch.arange(4)
    loss_of = import_module("lava.lib.dl.slayer").loss.SpikeRate(0.5, 0.1)
    weights = [p for p in net.parameters() if p.dim() > 1]
    before = [w.detach().clone() for w in weights]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        loss = loss_of(net(frames), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    moved = [not torch.equal(a, b) for a, b in zip(before, weights, strict=True)]
    return losses, len(moved) == 3 and all(moved)


def export(net: torch.nn.Sequential, path: Path) -> None:
    with import_module("h5py").File(path, "w") as file:
        layers = file.create_group("layer")
        for index, block in enumerate(net):
            export_hdf5: Any = block.export_hdf5
            export_hdf5(layers.create_group(str(index)))


def run_slayer(net: torch.nn.Sequential, frames: Spikes) -> Spikes:
    """`frames` `[C, H, W, T]` of 0 and 1 -> output spikes `[neuron, T]`."""
    net.eval()
    with torch.no_grad():
        out: torch.Tensor = net(torch.from_numpy(frames)[None].float())[0]
    return out.numpy().astype(np.int64)


def run_lava(path: Path, frames: Spikes) -> Spikes:
    """The same through netx and the `fixed_pt` models. Lava's arrays are `[W, H, C, T]`."""
    hdf5 = import_module("lava.lib.dl.netx").hdf5
    net = hdf5.Network(net_config=str(path), input_shape=CHW[::-1])
    source = import_module("lava.proc.io.source").RingBuffer(data=frames.transpose(2, 1, 0, 3))
    sink = import_module("lava.proc.io.sink").RingBuffer(shape=net.out.shape, buffer=STEPS)
    source.s_out.connect(net.inp)
    net.out.connect(sink.a_in)
    config = import_module("lava.magma.core.run_configs").Loihi2SimCfg(select_tag="fixed_pt")
    steps = import_module("lava.magma.core.run_conditions").RunSteps(num_steps=STEPS)
    net.run(condition=steps, run_cfg=config)
    spikes: Spikes = sink.data.get().astype(np.int64)
    stop = Thread(target=net.stop, daemon=True)
    stop.start()
    stop.join(timeout=10)
    return spikes


def main(folder: Path) -> None:
    import_lava()
    torch.manual_seed(2)
    torch.set_num_threads(1)
    net = build()
    losses, moved = train(net, steps=3)
    frames = (np.random.default_rng(1).random((*CHW, STEPS)) < 0.3).astype(np.int64)
    slayer = run_slayer(net, frames)
    export(net, folder / "trained.net")
    lava = run_lava(folder / "trained.net", frames)
    result = {
        "losses": losses,
        "weights_moved": moved,
        "cells": slayer.size,
        "spikes": int(slayer.sum()),
        "spiking_neurons": int(slayer.any(axis=1).sum()),
        "mismatches": int((slayer != lava).sum()),
        "mismatches_one_step_late": int((slayer[:, :-1] != lava[:, 1:]).sum()),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    run_and_exit(lambda: main(Path(sys.argv[1])))
