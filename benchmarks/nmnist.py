"""N-MNIST, real camera events: trained in time steps, run as the asynchronous chip, then fine-tuned through it.

    python benchmarks/nmnist.py FOLDER > benchmarks/results/nmnist.txt

FOLDER holds train/ and test/ with <digit>/<id>.bin as distributed (Orchard et al. 2015, CC BY-SA 4.0).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from injection import row
from numpy.typing import NDArray
from sinabs.activation import Heaviside
from sinabs.layers import IAFSqueeze
from torch import nn

from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.event_engine import EventEngine
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.spikes import STIMULUS
from i2e_deploy.network import from_sinabs
from i2e_deploy.training.asynchronous import FinetuneConfig, finetune
from i2e_deploy.training.bptt import spike_counts

SIZE, STEP_US, STEPS = 34, 20_000, 16
CHIP = DynapcnnChip("speck2f")
Samples = tuple[list[NDArray[np.void]], NDArray[np.uint8], NDArray[np.int64]]


def read(folder: Path) -> Samples:
    """Events as STIMULUS arrays, frames uint8 [N, T, 2, 34, 34], labels."""
    files = sorted(folder.glob("*/*.bin"))
    events, frames = [], np.zeros((len(files), STEPS, 2, SIZE, SIZE), np.uint8)
    for i, file in enumerate(files):
        raw = np.frombuffer(file.read_bytes(), np.uint8).reshape(-1, 5).astype(np.int64)
        stimuli = np.zeros(len(raw), STIMULUS)
        stimuli["x"], stimuli["y"], stimuli["c"] = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
        stimuli["t"] = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
        stimuli = stimuli[stimuli["t"] < STEPS * STEP_US]
        np.add.at(frames[i], (stimuli["t"] // STEP_US, stimuli["c"], stimuli["y"], stimuli["x"]), 1)
        events.append(stimuli)
    return events, frames, np.array([int(file.parent.name) for file in files])


def build() -> nn.Sequential:
    """Three convolutions and a linear layer; no bias, thresholds 1, lower bounds -1."""
    layers: list[nn.Module] = []
    for channels, features, kernel in ((2, 12, 5), (12, 24, 3), (24, 32, 3)):
        layers += [nn.Conv2d(channels, features, kernel, 2, kernel // 2, bias=False), neurons()]
    layers += [nn.Flatten(), nn.Linear(32 * 25, 10, bias=False), neurons()]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, layer.weight[0].numel() ** -0.5)
    return nn.Sequential(*layers)


def neurons() -> IAFSqueeze:
    return IAFSqueeze(num_timesteps=STEPS, min_v_mem=-1.0, surrogate_grad_fn=Heaviside(window=1.0))


def train(network: nn.Sequential, data: Samples, epochs: int) -> None:
    """Backpropagation through the time steps."""
    _, frames, labels = data
    optimiser = torch.optim.AdamW(network.parameters(), 5e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, epochs * -(-len(frames) // 40))
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(frames)), 40):
            counts = spike_counts(network, torch.from_numpy(frames[chosen.numpy()]).float())
            loss = F.cross_entropy(counts * 0.25, torch.from_numpy(labels[chosen.numpy()]), label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


class TrueOrder:
    """What `row` prints, of the recordings themselves: every event in the order in which the camera sent it."""

    def __init__(self, program: DynapcnnProgram, events: list[NDArray[np.void]]) -> None:
        engine = EventEngine(program, EventOptions())
        runs = [engine.run(stimuli) for stimuli in events]
        last = program.layer_names[-1]
        self._decisions = np.array([np.bincount(r.spikes[last]["c"], minlength=10).argmax() for r in runs])
        self.counts: dict[str, Any] = {}
        for name in program.layer_names:
            total = runs[0].counts[name]
            for run in runs[1:]:
                total = total + run.counts[name]
            self.counts[name] = total

    def decisions(self) -> NDArray[np.int64]:
        return self._decisions


def table(network: nn.Sequential, data: Samples) -> None:
    events, frames, labels = data
    program = CHIP.lower(from_sinabs(network, frames.shape[2:]))
    row("timestep", program.run(frames), labels)
    row("event, true order", TrueOrder(program, events), labels)
    for order in ("spread", "raster"):
        row(f"event, {order}", program.run(frames, "event", options=EventOptions(order=order)), labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=15)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    data, test = read(arguments.folder / "train"), read(arguments.folder / "test")
    network = build()
    train(network, data, arguments.epochs)
    print(f"{len(data[2])} training, {len(test[2])} test recordings")
    print("correct (95 % interval), spikes per recording and layer")
    table(network, test)
    config = FinetuneConfig(epochs=3, batch_size=40, learning_rate=3e-4)
    state = {name: value.clone() for name, value in network.state_dict().items() if name.endswith("weight")}
    more = torch.optim.Adam(network.parameters(), config.learning_rate)
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(config.epochs):  # the control: as many epochs more, in time steps
        for chosen in torch.split(torch.randperm(len(data[1]), generator=generator), config.batch_size):
            counts = spike_counts(network, torch.from_numpy(data[1][chosen.numpy()]).float())
            loss = F.cross_entropy(counts * config.logit_scale, torch.from_numpy(data[2][chosen.numpy()]))
            more.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            more.step()
    print(f"\ncontrol: {config.epochs} epochs more in time steps")
    table(network, test)
    network.load_state_dict(state, strict=False)
    finetune(network, data[1:], CHIP, EventOptions(order="spread", step_us=STEP_US), config)
    print(f"\nafter {config.epochs} epochs of fine-tuning through the event semantics")
    table(network, test)


if __name__ == "__main__":
    main()
