"""Deploy a trained Sinabs network to Speck2f, from weights on disk to a bundle: python examples/deploy_sinabs.py"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sinabs.layers import IAFSqueeze
from torch import nn

import i2e_deploy as i2e


def architecture() -> nn.Sequential:
    """Yours stands here."""
    neurons = {"num_timesteps": 8, "spike_threshold": torch.tensor(0.5), "min_v_mem": -1.0}
    return nn.Sequential(
        nn.Conv2d(2, 8, 5, stride=2, padding=2, bias=False),
        IAFSqueeze(**neurons),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 8 * 8, 10, bias=False),
        IAFSqueeze(**neurons),
    )


def trained_network() -> nn.Sequential:
    """Stands for the training; like any network that has run, it keeps membrane potentials."""
    torch.manual_seed(0)
    model = architecture()
    model(torch.rand(8, 2, 32, 32))
    return model


def deploy(weights: Path, frames: NDArray[np.uint8], out: Path) -> i2e.bundle.Bundle:
    """Ten lines: weights without pickle, float layers, every finding, integers, a verified bundle."""
    saved = torch.load(weights, weights_only=True)  # data alone: nothing in the file is executed
    model = architecture()
    model.load_state_dict(saved | {k: v for k, v in model.state_dict().items() if k.endswith("v_mem")})  # fresh states
    network = i2e.network.from_sinabs(model, input_shape=(2, 32, 32), example=frames)  # compared with model.forward
    chip = i2e.chips.get("speck2f")
    report = chip.check(network)  # every layer against every rule; nothing is raised
    print(report)  # the verdict, errors and warnings, and what each layer takes of its core
    written = i2e.bundle.write(out, chip, network, frames, overwrite=True)
    print("golden vectors", i2e.bundle.verify(written))
    return written


def main(out: Path = Path("my_bundle")) -> None:
    """Save, load and deploy; then look at what the network does in time steps and on the asynchronous chip."""
    frames = (np.random.default_rng(0).random((4, 8, 2, 32, 32)) < 0.1).astype(np.uint8)
    weights = out.with_suffix(".pt")
    torch.save(trained_network().state_dict(), weights)
    program = deploy(weights, frames, out).program  # integers; equal to Sinabs' discretised network
    weights.unlink()
    for semantics in ("timestep", "event"):
        trace = program.run(frames, semantics)
        print(semantics, "decisions", trace.decisions(), "spikes", {n: c.spikes for n, c in trace.counts.items()})


if __name__ == "__main__":
    main()
