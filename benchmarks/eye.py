"""The eye on Loihi 2: what I2E costs on the chip, beside conversion on the host; and a network behind it.

    I2E_DEPLOY_DATA=FOLDER python benchmarks/eye.py [--pictures 4] [--digits 200] > benchmarks/results/eye.txt

Photographs at several sizes, S_th0 = 0.12; first every event of the eye is compared with conversion. Then the digits
of the demo: a network is trained on conversion's events, and decides of pictures through the eye, with one look or
several.
Energy and time of the chip are estimates from public figures; input and output are in none of them.
"""

from __future__ import annotations

import argparse
import os
import time
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rows import machine

from i2e_deploy.chips import get
from i2e_deploy.chips.abilities import SeesPictures, TakesPictures, require
from i2e_deploy.chips.costs import Costs, Figure
from i2e_deploy.chips.eye import Eye, eye_for, looks
from i2e_deploy.chips.fan_out import fan_out_by_pixel
from i2e_deploy.chips.loihi2.eye.see import EVENTS, eye_blocks, eye_network
from i2e_deploy.chips.loihi2.program import CubaLif
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.loihi2.runnable import EyeProgram
from i2e_deploy.chips.trace import Trace
from i2e_deploy.conversion import RATIO, convert
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.datasets.picture import resize
from i2e_deploy.runtime.eye_pictures import read_pictures
from i2e_deploy.text import aligned
from i2e_deploy.training.arrays import FrameSamples
from i2e_deploy.training.digit_data import GreyPictures, digit_data, digit_sets
from i2e_deploy.training.loop import fit
from i2e_deploy.training.recipes import read_trained, recipe_of

CHIP = get("loihi2")
SIZES, PHOTO_RATIO = (32, 64, 128, 224), "0.12"
#: The first layer of MS-ResNet18: kernel, stride, padding, channels.
STEM = (7, 2, 3, 64)
HEADS = (
    "pixels", "input", "first event", "last", "neurons", "programmable", "cores", "messages in", "sent within",
    "synops", "of weights not 0", "energy, uJ", "step, us", "picture, us", "simulated, ms", "host, ms", "host's events",
    "synops of the stem",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--digits", type=int, default=200, help="digits to decide; 0: none")
    given = parser.parse_args()
    print(f"{machine()} | load {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    print_sizes(given.pictures)
    if given.digits:
        print_digits(given.epochs, given.train_size, given.digits)


def print_sizes(count: int) -> None:
    """One column a size and kind of input."""
    folder = os.environ.get("I2E_DEPLOY_DATA")
    if folder is None:
        print("photographs: not run, I2E_DEPLOY_DATA is not set")
        return
    columns = []
    for size in SIZES:
        for channels in (3, 1):
            eye = eye_for((2, size, size), PHOTO_RATIO, channels=channels)
            images = read_pictures(Path(folder) / "pictures", eye, count).images
            columns.append(measured(eye, images))
    print(
        f"\nthe eye alone, {count} photographs, S_th0 = {PHOTO_RATIO}, means a picture; every event equals conversion's"
    )
    print(aligned(list(zip(HEADS, *columns, strict=True)), right=range(1, len(columns) + 1)))


def measured(eye: Eye, images: NDArray[np.uint8]) -> list[str]:
    """The rows of `HEADS`."""
    program, seeing = EyeProgram(eye_network(eye)), eye_blocks(eye)
    program.see(images[:1])
    start = time.perf_counter()
    trace = program.see(images)
    simulated = time.perf_counter() - start
    events = convert(images, PHOTO_RATIO, threads=1)
    assert np.array_equal(trace.spikes[EVENTS][:, seeing.first :], events)
    start = time.perf_counter()
    convert(images, PHOTO_RATIO, threads=1)
    host, frames = time.perf_counter() - start, program.frames_of(images)
    figures = figures_of(CHIP.costs(program, frames, trace=trace))
    report = CHIP.check(program.network)
    cores = sum(int(f.value) for f in report.findings if f.rule == "cores" and f.layer)
    neurons = [(prod(b.shape), isinstance(b.neuron, CubaLif)) for b in program.network.blocks]
    counts, samples = trace.counts, len(images)
    synops = sum(c.synops for c in counts.values()) / samples
    return [
        f"{eye.shape[1]}x{eye.shape[2]}", "RGB" if eye.shape[0] == 3 else "V", str(seeing.first),
        str(seeing.first + eye.steps - 1), f"{sum(n for n, _ in neurons):,}",
        f"{sum(n for n, plain in neurons if not plain):,}", str(cores),
        f"{np.count_nonzero(frames) / samples:,.0f}", f"{sum(c.spikes for c in counts.values()) / samples:,.0f}",
        f"{synops:,.0f}", f"{not_zero(program, trace, int(np.count_nonzero(frames))) / samples:,.0f}",
        span(figures["dynamic energy a sample"], 1e-3), span(figures["time of a step"]),
        span(figures["latency of a decision"]), f"{1e3 * simulated / samples:.1f}", f"{1e3 * host / samples:.3f}",
        f"{events.sum() / samples:,.0f}", f"{stem(events) / samples:,.0f}",
    ]  # fmt: skip


def figures_of(costs: Costs | None) -> dict[str, Figure]:
    assert costs is not None
    return {figure.name: figure for figure in costs.figures}


def span(figure: Figure, unit: float = 1.0) -> str:
    return f"{figure.low * unit:.3g} to {figure.high * unit:.3g}"


def not_zero(program: EyeProgram, trace: Trace, given: int) -> float:
    """Synaptic operations of weights that are not 0, borders taken as the rest: what a compiler may leave.

    `given`: messages into the chip.
    """
    total = 0.0
    names = {i: b.name for i, b in enumerate(program.network.blocks)}
    for layer in layers_of(program.network, "chip"):
        shares = [np.count_nonzero(w.synapse.weight) / w.synapse.weight.size for w in layer.wires if w.synapse]
        fans = [w.synapse.weight.size for w in layer.wires if w.synapse]
        sent = [given if w.source < 0 else trace.counts[names[w.source]].spikes for w in layer.wires]
        weights = np.array(fans, float) * sent
        total += trace.counts[layer.name].synops * float(np.dot(shares, weights) / weights.sum())
    return total


def stem(events: NDArray[np.uint8]) -> int:
    """Synaptic operations of the first layer of MS-ResNet18 on these events."""
    kernel, stride, padding, channels = STEM
    size = events.shape[-2:]
    out = tuple((n + 2 * padding - kernel) // stride + 1 for n in size)
    fan = fan_out_by_pixel(size, (kernel, kernel), (stride, stride), (padding, padding), out, (1, 1))
    return int((events.sum((0, 1, 2), dtype=np.int64) * fan.reshape(size)).sum() * channels)


def print_digits(epochs: int, train_size: int, count: int) -> None:
    """Accuracy through the eye and with conversion on the host, and over several looks."""
    train_set, (frames, labels) = digit_sets(0, train_size, count)
    recipe = recipe_of("sinabs", 0, epochs)
    data = digit_data(GreyPictures(*train_set), FrameSamples(frames, labels))
    *_, last = fit(recipe.network, data, recipe.config)
    network = read_trained(recipe, frames[:4])
    _, test = load_mnist5k(0)
    chosen = np.linspace(0, len(test.labels) - 1, count).round().astype(int)
    images, ratio = resize(test.images[chosen], frames.shape[-1])[:, None], RATIO["mnist"]
    plain = CHIP.lower(network)
    host = plain.run(convert(images, ratio))
    print(f"\ndigits: {len(images)} pictures of 32x32, S_th0 = {float(ratio):.2f}, {train_size} to train on")
    print(f"float network: {last.test['accuracy']:.2%}; its integers on the host's events: {share(host, labels)}")
    for times in (1, 2, 4):
        program = require(CHIP, SeesPictures, "an eye").with_eye(plain, ratio, looks(times, 1), channels=1)
        assert isinstance(program, TakesPictures)
        scores = np.concatenate([program.see(images[i : i + 25]).scores() for i in range(0, len(images), 25)])
        decisions = scores.argmax(axis=1)
        if times == 1:
            assert np.array_equal(scores, host.scores())
            print(f"through the eye, one look: every score equal, {(decisions == labels).mean():.2%}")
        figures = figures_of(CHIP.costs(program, program.frames_of(images[:25])))
        print(
            f"  {times} looks, {8 * times} steps of events: {(decisions == labels).mean():.2%}, "
            f"{span(figures['dynamic energy a sample'], 1e-3)} uJ, "
            f"{span(figures['latency of a decision'])} us a picture"
        )
    figures = figures_of(CHIP.costs(plain, convert(images[:25], ratio)))
    print(f"  without the eye: {span(figures['dynamic energy a sample'], 1e-3)} uJ, "
          f"{span(figures['latency of a decision'])} us a picture")  # fmt: skip


def share(trace: Trace, labels: NDArray[np.int64]) -> str:
    return f"{(trace.decisions() == labels).mean():.2%}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
