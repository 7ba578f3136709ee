"""What `nmnist.py` and `event_gap.py` share: two data sets, their networks, training from scratch, folds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sinabs.activation import Heaviside
from torch import nn

from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.datasets.picture import resize
from i2e_deploy.events.array import Events
from i2e_deploy.events.files import read_events
from i2e_deploy.network import Network, from_sinabs
from i2e_deploy.network.file import read_network, write_network
from i2e_deploy.training import FitConfig, FrameSamples, Optimising, data_of, digits, fit
from i2e_deploy.training.digit_data import GreyPictures, digit_data
from i2e_deploy.training.fused_iaf import FusedIAF

Frames = NDArray[np.uint8]
Chosen = NDArray[np.int64]
#: N-MNIST: recordings last about 300 ms.
SIZE, STEPS, STEP_US = 34, 16, 20_000
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled samples and how a network for them is made.

    Args:
        frames: uint8 [N, T, 2, H, W].
        labels: int64 [N].
        recordings: the events themselves, where the data are events.
        step_us: duration of a step.
        build: an untrained network for so many steps.
        train: a network from scratch, on the samples chosen, by a seed.
    """

    name: str
    frames: Frames
    labels: NDArray[np.int64]
    recordings: Sequence[Events] | None
    step_us: int
    build: Callable[[int, torch.Generator], nn.Sequential]
    train: Callable[[nn.Sequential, Chosen, int], None]

    def start(self, fold: int, keep: Path | None = None) -> nn.Sequential:
        """A network trained without fold `fold`, also its seed; from folder `keep` if it is there, else put there."""
        network = self.build(self.frames.shape[1], torch.Generator().manual_seed(fold))
        file = None if keep is None else keep / f"{self.name}_{fold}.safetensors"
        if file is not None and file.exists():
            stored = read_network(file)
            assert isinstance(stored, Network)
            return with_weights(network, [layer.op.weight for layer in stored.layers if hasattr(layer.op, "weight")])
        self.train(network, self.split(fold)[0], fold)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_network(from_sinabs(network, self.frames.shape[2:]), file)
        return network

    def split(self, fold: int) -> tuple[Chosen, Chosen]:
        """Indices to train and to test with: every class spread evenly over the folds."""
        order = np.random.default_rng(0).permutation(len(self.labels))
        order = order[np.argsort(self.labels[order], kind="stable")]
        tested = np.arange(len(order)) % FOLDS == fold
        return np.sort(order[~tested]), np.sort(order[tested])


def nmnist_folder(given: Path | None) -> Path | None:
    """The folder named, or `nmnist_small` in the one that I2E_DEPLOY_DATA names, if it is there."""
    folder = given or Path(os.environ.get("I2E_DEPLOY_DATA", "")) / "nmnist_small"
    return folder if folder.is_dir() else None


def nmnist(folder: Path) -> Task:
    """Real recordings, train and test together: <train or test>/<digit>/<id>.bin (Orchard et al. 2015)."""
    files = sorted(folder.glob("*/*/*.bin"))
    recordings = [read_events(file).events for file in files]
    labels = np.array([int(file.parent.name) for file in files])
    frames = bin_events(recordings, STEPS)

    def train(network: nn.Sequential, chosen: Chosen, seed: int) -> None:
        train_nmnist(network, frames[chosen], labels[chosen], seed)

    return Task("N-MNIST", frames, labels, recordings, STEP_US, build_nmnist, train)


def bin_events(recordings: Sequence[Events], steps: int) -> Frames:
    """Events counted in so many steps of equal length: uint8 [N, steps, 2, 34, 34]."""
    frames = np.zeros((len(recordings), steps, 2, SIZE, SIZE), np.uint8)
    for frame, events in zip(frames, recordings, strict=True):
        kept = events[events["t"] < STEPS * STEP_US]
        np.add.at(frame, (kept["t"] * steps // (STEPS * STEP_US), kept["p"], kept["y"], kept["x"]), 1)
    return frames


def build_nmnist(steps: int, generator: torch.Generator) -> nn.Sequential:
    """Three convolutions and a linear layer; no bias, thresholds 1, lower bounds -1."""

    def neurons() -> FusedIAF:
        return FusedIAF(num_timesteps=steps, min_v_mem=-1.0, surrogate_grad_fn=Heaviside(window=1.0))

    layers: list[nn.Module] = []
    for channels, features, kernel in ((2, 12, 5), (12, 24, 3), (24, 32, 3)):
        layers += [nn.Conv2d(channels, features, kernel, 2, kernel // 2, bias=False), neurons()]
    layers += [nn.Flatten(), nn.Linear(32 * 25, 10, bias=False), neurons()]
    for layer in weighted(layers):
        nn.init.normal_(layer.weight, 0, 1 / sqrt(layer.weight[0].numel()), generator=generator)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train_nmnist(network: nn.Sequential, frames: Frames, labels: NDArray[np.int64], seed: int) -> None:
    """Fifteen epochs of backpropagation through the time steps."""
    config = FitConfig(epochs=15, batch_size=40, seed=seed, optimising=Optimising(warm_up=0.3))
    data = data_of(FrameSamples(frames, labels), FrameSamples(frames[:1], labels[:1]), tuple("0123456789"))
    for _ in fit(network, data, config):
        pass


def i2e_digits() -> Task:
    """The demo's 5,000 digits, all of them, as I2E events; trained as the demo trains."""
    parts = load_mnist5k(0)
    images = resize(np.concatenate([part.images for part in parts]), digits.SIZE)
    labels = np.concatenate([part.labels for part in parts])
    frames = to_frames(images)

    def train(network: nn.Sequential, chosen: Chosen, seed: int) -> None:
        pictures, unused = GreyPictures(images[chosen], labels[chosen]), FrameSamples(frames[:1], labels[:1])
        for _ in fit(network, digit_data(pictures, unused), FitConfig(seed=seed)):
            pass

    return Task("I2E-MNIST", frames, labels, None, 1000, digits.build_digit_network, train)


def to_frames(images: Frames) -> Frames:
    """Pictures uint8 [N, H, W] as I2E frames uint8 [N, 8, 2, H, W]."""
    return np.asarray(i2e_torch(torch.from_numpy(images)[:, None], RATIO["mnist"]).numpy())


def weighted(layers: Any) -> list[Any]:
    """The layers that have weights."""
    return [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.Linear)]


def with_weights(network: nn.Sequential, weights: Sequence[Any]) -> nn.Sequential:
    """The network with these weights (arrays or tensors, one a weighted layer) in place of its own."""
    with torch.no_grad():
        for layer, weight in zip(weighted(network), weights, strict=True):
            layer.weight.copy_(torch.as_tensor(weight))
    return network
