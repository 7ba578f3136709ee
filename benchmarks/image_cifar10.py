"""What an image network of the same size reaches on CIFAR10: the layers of `cifar10.py`'s recipe on the pictures alone.

    nice python benchmarks/image_cifar10.py CIFAR10.zip > benchmarks/results/image_cifar10.txt

No spikes and no events: the convolutions of the recipe with three input channels, batch norm and ReLU behind each in
place of the neurons, and the sums of the last layer as scores; float32 throughout. The first row has the pictures as
they are, the second their brightness V, from which I2E makes its events. Optimiser, schedule, flips, moves and picture
size are those of `cifar10.py`; the last epoch counts, and no test picture chooses anything.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rows import machine
from torch import Tensor, nn

from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.runtime import wilson
from i2e_deploy.training.sized import sized_network

STEPS = 8
BATCH, RATE, DECAY = 50, 2e-3, 0.02


def pictures(path: Path, part: str, most: int | None, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Of a part, evenly: uint8 [N, 3, size, size], and classes int64 [N]."""
    source = open_source(str(path))
    names = sorted(name for name in source.names() if f"{part}/" in f"/{name}")
    classes = sorted({Path(name).parent.name for name in names})
    names = names[:: max(1, len(names) // most)][:most] if most else names
    resize = Resize(size, "squash", "bilinear")
    found = np.stack([decode_picture(source.read(name), resize, name).transpose(2, 0, 1) for name in names])
    return found, np.array([classes.index(Path(name).parent.name) for name in names])


def image_network(recipe: nn.Sequential, channels: int) -> nn.Sequential:
    """The recipe's layers with weights; batch norm and ReLU between them."""
    layers: list[nn.Module] = []
    for module in recipe:
        if isinstance(module, nn.Conv2d):
            given = module.in_channels if layers else channels
            new = nn.Conv2d(given, module.out_channels, module.kernel_size, module.stride, module.padding, bias=False)  # type: ignore[arg-type]
            layers += [new, nn.BatchNorm2d(module.out_channels), nn.ReLU()]
        elif isinstance(module, nn.Linear):
            layers.append(nn.Linear(module.in_features, module.out_features))
        elif isinstance(module, nn.Flatten):
            layers.append(nn.Flatten())
    found: nn.Sequential = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return found


def moved(batch: Tensor, by: int, rng: np.random.Generator) -> Tensor:
    """Each picture flipped or not, and moved up to so many pixels to either side; black comes in."""
    wide = F.pad(batch, (by,) * 4)
    side = batch.shape[-1]
    corners = rng.integers(0, 2 * by + 1, (len(batch), 2))
    cut = torch.stack([one[:, y : y + side, x : x + side] for one, (y, x) in zip(wide, corners, strict=True)])
    flips = torch.from_numpy(rng.random(len(batch)) < 0.5)
    return torch.where(flips[:, None, None, None], cut.flip(-1), cut)


def floats(some: NDArray[np.uint8], channels: int) -> Tensor:
    """[N, channels, H, W] within -1 and 1; one channel is V, the largest of three."""
    kept = some if channels == 3 else some.max(axis=1, keepdims=True)
    return torch.from_numpy(kept).float() / 127.5 - 1


def train(network: nn.Sequential, given: argparse.Namespace, channels: int) -> None:
    """In place."""
    rng = np.random.default_rng(given.seed)
    data, labels = pictures(given.data, "train", given.train, given.size)
    batches = len(data) // BATCH
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, given.epochs * batches + 1, pct_start=0.25)
    for epoch in range(given.epochs):
        network.train()
        begin, total = time.process_time(), 0.0
        for part in np.split(rng.permutation(len(data))[: batches * BATCH], batches):
            batch = moved(floats(data[part], channels), max(1, given.size // 16), rng)
            loss = F.cross_entropy(network(batch), torch.from_numpy(labels[part]))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1:2d} of {given.epochs}: loss {total / batches:.3f}, "
              f"{time.process_time() - begin:.0f} s of processor time", flush=True)  # fmt: skip


@torch.no_grad()
def right(network: nn.Sequential, given: argparse.Namespace, channels: int) -> tuple[int, int]:
    """Test pictures that are decided rightly, and all."""
    network.eval()
    data, labels = pictures(given.data, "test", given.test, given.size)
    found = [network(floats(part, channels)).argmax(1).numpy() for part in np.array_split(data, -(-len(data) // 200))]
    return int((np.concatenate(found) == labels).sum()), len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--chip", default="speck2f")
    parser.add_argument("--recipe", default="large")
    parser.add_argument("--size", type=int, default=48, help="pixels a side")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--train", type=int, help="training pictures; default: all")
    parser.add_argument("--test", type=int, help="test pictures; default: all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    for name, channels in (("colour", 3), ("brightness V", 1)):
        recipe = sized_network(given.chip, given.recipe, (2, given.size, given.size), 10, STEPS, given.seed)[1]
        assert isinstance(recipe, nn.Sequential)
        torch.manual_seed(given.seed)
        network = image_network(recipe, channels)
        weights = sum(p.numel() for p in network.parameters() if p.dim() > 1)
        print(f"\nlayers of {given.chip}'s recipe {given.recipe} with batch norm and ReLU, {name}: "
              f"{weights:,} weights, {given.size} pixels, AdamW {RATE:g}, one cycle, batches of {BATCH}, "
              f"seed {given.seed}", flush=True)  # fmt: skip
        train(network, given, channels)
        correct, count = right(network, given, channels)
        low, high = wilson(correct, count)
        print(f"last epoch, {count:,} test pictures: {correct / count:.1%} "
              f"(95 % interval {low:.1%} to {high:.1%})", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
