"""The I2E paper's own trainings as configurations that run as they are, for whoever has the GPUs and the data.

**Unmeasured**: beyond smoke runs on tiny data nothing of this was run by this project. Every setting names its source:
"paper" is the I2E paper (AAAI 2026, vol. 40(3), pp. 1982-1990) with its poster; "scripts" are its authors' published
training scripts, read, not copied. What this trainer does otherwise stands in `differs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from i2e_deploy.chips import AnyNetwork, Chip
from i2e_deploy.datasets.listing import Listing
from i2e_deploy.errors import InputError
from i2e_deploy.events.files import read_events
from i2e_deploy.network import from_ms_resnet
from i2e_deploy.text import record_repr
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.data.recordings import list_recordings
from i2e_deploy.training.losses import Loss
from i2e_deploy.training.ms_resnet import LIF, MSResNet, ms_resnet
from i2e_deploy.training.optimising import Optimising
from i2e_deploy.training.running import Running
from i2e_deploy.training.samples import TrainingData

#: Of I2E, and of a recording cut into frames (paper; scripts: `frames_number=8`).
STEPS = 8
#: Least share of the area that RandomResizedCrop keeps: torchvision's default (scripts: `RandomResizedCrop(224)`).
CROP = 0.08
#: Of label smoothing, in all trainings (scripts).
SMOOTHING = 0.1
_SGD = Optimising("sgd", 0.1, "cosine", warm_up=0.0, weight_decay=2e-4, momentum=0.9)
#: Logits are the mean over T (scripts): outputs summed over the steps, times this.
_LOSS = Loss("cross_entropy", scale=1 / STEPS, label_smoothing=SMOOTHING)


@dataclass(frozen=True, eq=False)
class PaperRun:
    """One training of the paper.

    Args:
        name: as `paper_run` knows it.
        depth: of the MS-ResNet.
        options: of the pictures; None: recordings, cut into frames of equal numbers of events.
        config: of the training.
        published: what the paper reports, in %, best epoch.
        sources: of the settings, by what they are.
        differs: what this trainer does otherwise.
    """

    name: str
    depth: int
    options: DataOptions | None
    config: FitConfig
    published: float
    sources: Mapping[str, str]
    differs: tuple[str, ...]

    __repr__ = record_repr


_NET = "scripts: MS-ResNet, 7x7 convolution of stride 2, norm and maximum on raw events; LIF tau 2, threshold 1, hard "
_SOURCES = MappingProxyType(
    {
        "network": _NET + "reset, no decay of the input, ATan, detached reset; logits are the mean over T",
        "optimiser": "scripts: SGD, momentum 0.9, cosine without warm-up",
        "label smoothing": "scripts: 0.1",
        "directions": "paper: each of the eight directions draws its placement anew in training",
    }
)
_ALWAYS = (
    "placements of saccades are drawn for each picture; the scripts draw them once a batch",
    "the cosine falls to 0; the scripts' falls to 5e-5",
    "SGD has Nesterov momentum; the scripts do not say so",
    "bfloat16 by autocast where it is asked for; the scripts use float16 with a scaler",
    "thresholds compare with > on integers; the scripts with >= in float32 (2,477 of 8.4 million comparisons differ)",
)
_CROPPED = "the crop of 32 out of 40 edge-padded pixels comes after the resize: shifts of 4/32 of the side either way"
_OWN_DRAWS = "RandomResizedCrop draws as torchvision's, from this trainer's own generator"


def _cifar(name: str, published: float, flips: bool, crops: bool) -> PaperRun:
    augmentation = Augmentation(flip=flips, shift=16 if crops else 0)
    options = DataOptions(size=128, steps=STEPS, ratio=Fraction(7, 100), resample="bilinear", fit="squash",
                          augmentation=augmentation)  # fmt: skip
    config = FitConfig(epochs=256, batch_size=128, loss=_LOSS, optimising=_SGD)
    sources = {
        **_SOURCES,
        "input": "paper: 128 x 128, S_th0 0.07; scripts: torchvision's resize, which is bilinear",
        "schedule": "scripts: 256 epochs, batches of 128, learning rate 0.1, weight decay 2e-4",
        "augmentation": "paper: baseline I flips" + ("; II also crops 32 of 40 padded pixels" if crops else ""),
        "published": "paper, table of I2E-CIFAR10 and I2E-CIFAR100 with MS-ResNet18",
    }
    return PaperRun(name, 18, options, config, published, sources, (*_ALWAYS, *([_CROPPED] if crops else [])))


def _imagenet(name: str, depth: int, published: float, crops: bool) -> PaperRun:
    """Baseline I, or with `crops` II."""
    augmentation = Augmentation(flip=True, crop=CROP if crops else 1.0)
    options = DataOptions(size=224, steps=STEPS, ratio=Fraction(12, 100), resample="bilinear",
                          fit="imagenet" if crops else "squash", augmentation=augmentation)  # fmt: skip
    config = FitConfig(epochs=128, batch_size=128, loss=_LOSS, optimising=replace(_SGD, weight_decay=1e-5))
    one, two = "baseline I resizes to 224 x 224", "II resizes test pictures to 256 and cuts out the middle 224"
    sources = {
        **_SOURCES,
        "input": f"paper: 224 x 224, S_th0 0.12; scripts: {two if crops else one}",
        "schedule": "scripts: 128 epochs, batches of 128, learning rate 0.1, weight decay 1e-5",
        "augmentation": "scripts: " + ("RandomResizedCrop(224) and flip, baseline II" if crops else "flip, baseline I"),
        "published": "paper, table of I2E-ImageNet: 48.30 and 57.97 % at depth 18, baselines I and II; 60.50 % at "
        "depth 34, baseline II",
    }
    return PaperRun(name, depth, options, config, published, sources, (*_ALWAYS, *([_OWN_DRAWS] if crops else [])))


def _recordings(name: str) -> PaperRun:
    optimising = Optimising("sgd", 5e-4, "cosine", warm_up=0.0, weight_decay=0.0, momentum=0.9)
    config = FitConfig(epochs=128, batch_size=32, loss=_LOSS, optimising=optimising, seed=2024)
    sources = {
        **_SOURCES,
        "input": "scripts: 128 x 128, 8 frames of equal numbers of events (split_by='number'), counts and not 0 and 1",
        "start": "paper: the network that was trained on I2E-CIFAR10 (transfer II) or I2E-ImageNet (transfer I)",
        "schedule": "scripts: 128 epochs, batches of 32, learning rate 5e-4 to 0, no weight decay, seed 2024",
        "augmentation": "scripts: none",
        "split": "scripts: the first 90 % of each class train (SpikingJelly's split_to_train_test_set)",
        "published": "paper, CIFAR10-DVS: 92.5 % after I2E-CIFAR10, 83.1 % after I2E-ImageNet, 65.6 % without: "
        "the best epoch on the test part. Whether CIFAR10-DVS shows pictures of the pre-training was not settled",
    }
    del sources["directions"]
    return PaperRun(name, 18, None, config, 92.5, sources, _ALWAYS[1:4])


_RUNS: Mapping[str, PaperRun] = MappingProxyType(
    {
        run.name: run
        for run in (
            _cifar("i2e-cifar10-1", 85.07, flips=True, crops=False),
            _cifar("i2e-cifar10-2", 89.23, flips=True, crops=True),
            _cifar("i2e-cifar100-1", 51.32, flips=True, crops=False),
            _cifar("i2e-cifar100-2", 60.68, flips=True, crops=True),
            _imagenet("i2e-imagenet-18", 18, 48.30, crops=False),
            _imagenet("i2e-imagenet-18-2", 18, 57.97, crops=True),
            _imagenet("i2e-imagenet-34", 34, 60.50, crops=True),
            _recordings("cifar10-dvs"),
        )
    }
)
#: Names of the trainings.
PAPER_RUNS = tuple(_RUNS)


def paper_run(name: str) -> PaperRun:
    """The training of that name.

    Raises:
        InputError: no such training.
    """
    if name not in _RUNS:
        raise InputError(f"training {name!r}: choose one of {', '.join(PAPER_RUNS)}")
    return _RUNS[name]


def paper_data(run: PaperRun, folder: Path) -> TrainingData:
    """Its data: pictures, or recordings `<class>/<file>` as 8 frames of counts.

    Raises:
        InputError: nothing there.
        FileFormatError: a damaged file.
    """
    if run.options is not None:
        return open_data(folder, run.options)
    listing = list_recordings(folder, DataOptions())
    train, test = in_order(listing.labels)
    return open_data(tuple(ByNumber(folder, listing, part) for part in (train, test)), DataOptions())


def paper_network(run: PaperRun, classes: int, start: Path | None = None) -> MSResNet:
    """Its network; with `start` the weights of a checkpoint of the authors' or of torch's, all but the last layer.

    Raises:
        InputError: weights of another network.
    """
    network = ms_resnet(run.depth, classes, generator=torch.Generator().manual_seed(run.config.seed))
    if start is None:
        return network
    given = torch.load(start, map_location="cpu", weights_only=True)
    given = given.get("state_dict", given) if isinstance(given, dict) else {}
    weights = {name.removeprefix("module."): value for name, value in given.items()}
    own = network.state_dict()
    fitting = {n: v for n, v in weights.items() if n in own and not n.startswith("fc.") and v.shape == own[n].shape}
    if missing := [name for name in own if name not in fitting and not name.startswith("fc.")]:
        raise InputError(f"{start} has no weights {missing[0]!r} of MS-ResNet{run.depth}: give a checkpoint of it")
    network.load_state_dict({**own, **fitting})
    return network


def in_order(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the samples that train and test: the first 90 % of each class train, rounded up."""
    train: list[int] = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        train += own[: ceil(0.9 * len(own))].tolist()
    return np.sort(train), np.setdiff1d(np.arange(len(labels)), train)


class ByNumber:
    """Recordings as 8 frames with equal numbers of events, counts; a data set as torch has them.

    Args:
        folder: of the recordings.
        listing: of them.
        rows: int64 [N], those that are in it.
        size: width and height in pixels.
    """

    def __init__(self, folder: Path, listing: Listing, rows: NDArray[np.int64], size: int = 128) -> None:
        self.files, self.size = [folder / listing.names[row] for row in rows], size
        self.classes, self.targets = listing.classes, listing.labels[rows].tolist()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint16], int]:
        """Frames uint16 [8, 2, H, W], and the class.

        Raises:
            InputError: events outside the size.
            FileFormatError: a damaged file.
        """
        events = read_events(self.files[index]).events
        if len(events) and max(int(events["x"].max()), int(events["y"].max())) >= self.size:
            raise InputError(f"{self.files[index]} has events outside {self.size} x {self.size} pixels: crop it first")
        frames = np.zeros((STEPS, 2, self.size, self.size), np.uint16)
        step = np.minimum(np.arange(len(events)) // max(1, len(events) // STEPS), STEPS - 1)
        np.add.at(frames, (step, events["p"], events["y"], events["x"]), 1)
        return frames, self.targets[index]


def _outputs(network: nn.Module, frames: Tensor) -> Tensor:
    logits: Tensor = network(frames.float())
    return logits


def _read(network: nn.Module, input_shape: tuple[int, ...], example: Any, chip: Chip) -> AnyNetwork:
    return from_ms_resnet(network.state_dict(), input_shape)


def _neurons(network: nn.Module) -> list[nn.Module]:
    return [part for part in network.modules() if isinstance(part, LIF)]


#: How `training.fit` runs these networks.
MS_RESNET = Running("MS-ResNet", _outputs, _read, _neurons)
