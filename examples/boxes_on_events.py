"""Train a small detector of moving shapes on events, run it as Loihi 2's integers, score its boxes by COCO's mAP.

Run: python examples/boxes_on_events.py. A minute or two on two idle cores. It needs pycocotools;
`--samples 64 --epochs 1` for a look. docs/guides/boxes.md explains it.
"""

import argparse
import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

import i2e_deploy as i2e
from i2e_deploy.network import Conv2d, LeakyIntegrateAndFire, chain
from i2e_deploy.network.neurons import parameter

CLASSES = ("disk", "square")
SIZE, STEPS = 32, 12  # pixels, steps of a recording
CELLS, CELL = 4, 8  # the grid of outputs: so many cells a side, of so many pixels
WARM = 3  # the first steps are not judged: too few events have come
BATCH = 16
DECAY = 0.75  # of the neurons and of the readout
#: Inputs, outputs, kernel, stride and padding of each convolution; the last one's outputs are scores and a box.
LAYERS = ((2, 16, 5, 2, 2), (16, 24, 3, 2, 1), (24, 24, 3, 1, 1), (24, len(CLASSES) + 4, 3, 2, 1))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scenes:
    """Recordings of one or two moving shapes, and where they are.

    Args:
        frames: uint8 [N, T, 2, 32, 32], 1 where a pixel became darker (channel 0) or brighter (channel 1) in a step.
        boxes: float64 [N, T, 2, 4], left, top, width and height in pixels.
        classes: int64 [N, 2], numbers of `CLASSES`; -1: there is no second shape.
    """

    frames: NDArray[np.uint8]
    boxes: Floats
    classes: NDArray[np.int64]


def scenes(count: int, seed: int) -> Scenes:
    """Shapes that keep inside the picture and apart from each other, with a little noise."""
    rng = np.random.default_rng(seed)
    kept: list[list[NDArray[Any]]] = []
    while sum(len(part[0]) for part in kept) < count:
        draws = 4 * count
        radius = rng.uniform(3, 6, (draws, 1, 2))
        speed = rng.uniform(0.3, 1.0, (draws, 1, 2)) * np.exp(1j * rng.uniform(0, 2 * np.pi, (draws, 1, 2)))
        start = rng.uniform(6, SIZE - 6, (draws, 1, 2)) + 1j * rng.uniform(6, SIZE - 6, (draws, 1, 2))
        centre = start + speed * np.arange(STEPS + 1)[:, None]  # [draws, T + 1, 2], x + iy
        x, y = centre.real, centre.imag
        inside = ((np.minimum(x, y) > radius) & (np.maximum(x, y) < SIZE - radius)).all(axis=(1, 2))
        gap = np.maximum(np.abs(x[..., 0] - x[..., 1]), np.abs(y[..., 0] - y[..., 1]))
        good = inside & (gap > radius.sum(axis=-1) + 1).all(axis=1)
        kept.append([centre[good], radius[good, 0]])
    centre, radius = (np.concatenate([part[i] for part in kept])[:count] for i in (0, 1))
    classes = rng.integers(0, len(CLASSES), (count, 2))
    classes[rng.random(count) < 0.3, 1] = -1
    light = sum(_drawn(centre[..., i], radius[:, i], classes[:, i]) for i in (0, 1))
    change = np.diff(light, axis=1)
    frames = np.stack([change < -0.2, change > 0.2], axis=2) | (rng.random((count, STEPS, 2, SIZE, SIZE)) < 0.002)
    corner = centre[:, 1:] - (1 + 1j) * radius[:, None]
    side = np.broadcast_to(2 * radius[:, None], corner.shape)
    return Scenes(frames.astype(np.uint8), np.stack([corner.real, corner.imag, side, side], axis=-1), classes)


def _drawn(centre: NDArray[np.complex128], radius: Floats, classes: NDArray[np.int64]) -> Floats:
    """Light of one shape, [N, T + 1, 32, 32], 0 to 1 with soft edges."""
    pixel = np.arange(SIZE) + 0.5
    x = np.abs(pixel - centre.real[..., None])[..., None, :]
    y = np.abs(pixel - centre.imag[..., None])[..., :, None]
    kind = classes[:, None, None, None]
    distance = np.where(kind == CLASSES.index("disk"), np.hypot(x, y), np.maximum(x, y))
    light: Floats = np.clip(radius[:, None, None, None] - distance + 0.5, 0, 1) * (kind >= 0)
    return light


class Spike(torch.autograd.Function):
    """1 above the threshold of 1; the gradient is that of a fast sigmoid."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        """Spikes of potentials of any shape."""
        ctx.save_for_backward(v)
        return (v > 1).float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Gradient of the potentials."""
        (v,) = ctx.saved_tensors
        slope: Tensor = 1 / (1 + 4 * (v - 1).abs()) ** 2
        return gradient * slope


spike: Callable[[Tensor], Tensor] = Spike.apply


class Detector(nn.Module):
    """Three layers of leaky neurons, and a readout that only integrates: a score a class and a box in each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = [nn.Conv2d(*sizes, bias=sizes is LAYERS[-1]) for sizes in LAYERS]
        self.held = nn.ModuleList(self.convs)
        with torch.no_grad():
            for conv in self.convs[:-1]:
                conv.weight.mul_(3)  # so that untrained neurons fire

    def forward(self, frames: Tensor) -> Tensor:
        """Potentials of the readout in each step: [B, T, 2, 32, 32] -> [B, T, 6, 4, 4]."""
        x = frames.float()
        for conv in self.convs:
            v, sent = torch.zeros(()), []
            for current in conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]).unbind(1):
                v = DECAY * v + current
                if conv is self.convs[-1]:
                    sent.append(v)
                    continue
                sent.append(spike(v))
                v = v * (1 - sent[-1].detach())  # back to 0 after a spike, as the chip's neuron
            x = torch.stack(sent, dim=1)
        return x

    def network(self) -> i2e.network.Network:
        """The same as a network of i2e_deploy."""
        leaky = LeakyIntegrateAndFire(parameter(DECAY), parameter(1.0), strict=True, reset="value")
        ops: dict[str, i2e.network.Op] = {}
        for i, conv in enumerate(self.convs):
            bias = None if conv.bias is None else conv.bias.detach().numpy()
            _, _, _, stride, padding = LAYERS[i]
            ops[f"conv{i}"] = Conv2d(conv.weight.detach().numpy(), bias, (stride, stride), (padding, padding))
            ops[f"lif{i}"] = leaky if i < len(self.convs) - 1 else LeakyIntegrateAndFire(parameter(DECAY))
        return chain((2, SIZE, SIZE), ops)


def wanted(of: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """What the cells should say: scores [N, T, 2, 4, 4], boxes [N, T, 4, 4, 4], and where boxes count [N, T, 4, 4]."""
    count, steps = of.boxes.shape[:2]
    scores = np.zeros((count, steps, len(CLASSES), CELLS, CELLS), np.float32)
    boxes = np.zeros((count, steps, 4, CELLS, CELLS), np.float32)
    n, t, i = np.nonzero(np.broadcast_to((of.classes >= 0)[:, None], (count, steps, 2)))
    box = of.boxes[n, t, i]
    x, y = (box[:, :2] + box[:, 2:] / 2).T / CELL
    column, row = x.astype(int), y.astype(int)
    scores[n, t, of.classes[n, i], row, column] = 1
    boxes[n, t, :, row, column] = np.stack([x - column - 0.5, y - row - 0.5, box[:, 2] / CELL, box[:, 3] / CELL], 1)
    return torch.from_numpy(scores), torch.from_numpy(boxes), torch.from_numpy(scores.max(axis=2))


def train(data: Scenes, epochs: int) -> Detector:
    """Cross entropy of the scores in every cell and step; where there is a shape, of its class, and its box's error.

    The second is needed: the scores alone first learn whether anything is there.
    """
    torch.manual_seed(0)
    net, frames, targets = Detector(), torch.from_numpy(data.frames), wanted(data)
    batches = -(-len(frames) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=max(2, epochs * batches))
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.split(torch.randperm(len(frames)), BATCH):
            out = net(frames[batch])[:, WARM:]
            scores, boxes, there = (target[batch, WARM:] for target in targets)
            loss = F.binary_cross_entropy_with_logits(out[:, :, :-4], scores, pos_weight=torch.tensor(3.0))
            kinds = F.cross_entropy(out[:, :, :-4].flatten(0, 1), scores.argmax(2).flatten(0, 1), reduction="none")
            loss = loss + kinds.mul(there.flatten(0, 1)).sum() / there.sum()
            loss = loss + (out[:, :, -4:] - boxes).abs().mul(there[:, :, None]).sum() / (4 * there.sum())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / batches:.3f}")
    return net


def on_chip(program: i2e.chips.Program, frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The readout's potential after each step, the chip's integers: int64 [N, T, 6, 4, 4].

    A synapse takes a step on the chip, so the readout is late; empty frames follow until the last step has arrived.
    """
    reading = program.deciding
    late = np.pad(frames, ((0, 0), (0, reading.lag), (0, 0), (0, 0), (0, 0)))
    states, found = None, []
    for step in range(late.shape[1]):
        states = program.run(late[:, step : step + 1], states=states).states
        found.append(states[reading.layer][reading.variable])
    potentials = np.stack(found[reading.lag :], axis=1).astype(np.int64)
    return potentials.reshape(*frames.shape[:2], len(CLASSES) + 4, CELLS, CELLS)


def detections(out: Floats) -> list[dict[str, Any]]:
    """Boxes of values [N, T, 6, 4, 4], as COCO's result files have them; of overlapping ones the best stays."""
    found = []
    for image, values in enumerate(out[:, WARM:].reshape(-1, len(CLASSES) + 4, CELLS, CELLS)):
        score = 1 / (1 + np.exp(-values[:-4]))
        order = np.argsort(-score.max(axis=0), axis=None)
        boxes: list[Floats] = []
        for row, column in zip(*np.unravel_index(order, (CELLS, CELLS)), strict=True):
            kind = int(score[:, row, column].argmax())
            dx, dy, w, h = values[-4:, row, column]
            size = np.array([w, h]).clip(0.1, CELLS) * CELL
            box = np.concatenate([(np.array([column + dx, row + dy]) + 0.5) * CELL - size / 2, size])
            if score[kind, row, column] > 0.05 and all(overlap(box, other) < 0.5 for other in boxes):
                boxes.append(box)
                one = {"image_id": image, "category_id": kind, "bbox": box.tolist()}
                found.append({**one, "score": float(score[kind, row, column])})
    return found


def overlap(one: Floats, other: Floats) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    inner = np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(inner.clip(0)))
    return shared / float(np.prod(one[2:]) + np.prod(other[2:]) - shared)


def mean_average_precision(found: list[dict[str, Any]], data: Scenes) -> tuple[float, float]:
    """COCO's mAP over overlaps of 0.5 to 0.95, and that at 0.5, by pycocotools; every step is an image."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, images = [], 0
    for boxes, classes in zip(data.boxes[:, WARM:], data.classes, strict=True):
        for step in boxes:
            truth += [
                {"image_id": images, "category_id": int(kind), "bbox": box.tolist(), "area": float(box[2] * box[3])}
                for box, kind in zip(step, classes, strict=True)
                if kind >= 0
            ]
            images += 1
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(images)],
            "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES)],
            "annotations": [{**one, "id": i + 1, "iscrowd": 0} for i, one in enumerate(truth)],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0]), float(judge.stats[1])


@dataclass(frozen=True)
class Scores:
    """mAP and mAP at an overlap of 0.5, in float and on the chip's integers."""

    float_map: float
    float_map50: float
    chip_map: float
    chip_map50: float


def main(samples: int = 800, tests: int = 100, epochs: int = 16, out: Path = Path("boxes_bundle")) -> Scores:
    """Train, lower, run in float and on the chip's integers, score both, and write a bundle with golden vectors."""
    data, test = scenes(samples, seed=0), scenes(tests, seed=1)
    net = train(data, epochs)
    network, chip = net.network(), i2e.chips.get("loihi2")
    report = chip.check(network)
    print("fits:", report.fits)
    program = chip.lower(network, i2e.chips.LowerOptions(calibration=data.frames[:16]))

    floats = network.run(test.frames, keep=()).output.reshape(tests, STEPS, -1, CELLS, CELLS)
    # What a unit of the chip's potential is worth: one number, by least squares on samples of the training.
    some = data.frames[:16]
    integers = on_chip(program, some).ravel().astype(float)
    unit = float(integers @ network.run(some, keep=()).output.ravel() / (integers @ integers))
    chip_values = on_chip(program, test.frames) * unit
    scores = Scores(*(s for values in (floats, chip_values) for s in mean_average_precision(detections(values), test)))
    for field in fields(scores):
        print(f"{field.name}: {getattr(scores, field.name):.3f}")
    bundle = i2e.bundle.write(out, chip, network, test.frames[:2], overwrite=True)
    print("golden vectors", i2e.bundle.verify(bundle))
    return scores


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=800)
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path("boxes_bundle"))
    arguments = parser.parse_args()
    main(arguments.samples, arguments.tests, arguments.epochs, arguments.out)
