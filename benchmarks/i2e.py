"""I2E on this CPU: `conversion.convert` against the paper's formulation in torch, and against the memory.

    python benchmarks/i2e.py [--threads 2] > benchmarks/results/i2e.txt
    python benchmarks/i2e.py --threads 1 --cpu-time > benchmarks/results/i2e_one_core.txt

Both run in this process on the same threads and the same pictures, in turn; each figure is the best of
the repeats. The torch side gets its images as float32 in [0, 1] (the division by 255 is not timed) and
stops at booleans; ours starts at uint8. "roof" is the time that the bytes read (images) and written
(frames or bits) take at this machine's measured copy speed.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rows import Row, machine
from torch import Tensor

from i2e_deploy.conversion import convert
from i2e_deploy.conversion.vectors import saccades

RATIO = "0.12"
SIZES = (32, 128, 224)
BATCHES = (1, 64)
STEPS, POLARITIES = 8, 2


def paper_kernels() -> Tensor:
    """The eight 3x3 kernels, float32 [8, 1, 3, 3]."""
    weight = torch.zeros(STEPS, 1, 3, 3)
    for step, kernel in enumerate(saccades()):
        weight[step, 0, 1 + kernel.plus[0], 1 + kernel.plus[1]] += 1
        weight[step, 0, 1 + kernel.minus[0], 1 + kernel.minus[1]] -= 1
    return weight


def paper_formulation(images: Tensor, weight: Tensor) -> Tensor:
    """float32 [B, 3, H, W] -> bool [B, 8, 2, H, W]: max, pad, convolve, compare."""
    value = images.amax(1, keepdim=True)
    spread = value.amax((1, 2, 3), keepdim=True) - value.amin((1, 2, 3), keepdim=True)
    difference = F.conv2d(F.pad(value, (1, 1, 1, 1), mode="replicate"), weight)
    threshold = float(RATIO) * spread
    return torch.stack((-difference > threshold, difference > threshold), 2)


#: Wall time, or with `--cpu-time` the processor's time, which other programs on the machine stretch less.
CLOCK = time.perf_counter


def best_times(functions: list[Callable[[], object]], seconds: float = 6.0) -> list[float]:
    """Best seconds a call of each function; they take turns, so that a busy moment hits all."""
    best = [float("inf")] * len(functions)
    for function in functions:
        function()
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < 5 or time.perf_counter() < end:
        for index, function in enumerate(functions):
            start = CLOCK()
            function()
            best[index] = min(best[index], CLOCK() - start)
        rounds += 1
    return best


def copy_speed(threads: int, megabytes: int = 128) -> float:
    """Bytes a second, read plus written, of `threads` threads that copy arrays far larger than the caches."""
    pairs = [(np.ones(megabytes << 20, np.uint8), np.zeros(megabytes << 20, np.uint8)) for _ in range(threads)]

    def copy_all() -> None:
        workers = [threading.Thread(target=np.copyto, args=(target, source)) for source, target in pairs]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return 2 * threads * (megabytes << 20) / best_times([copy_all], 2.0)[0]


def times(images: NDArray[np.uint8], weight: Tensor, threads: int, seconds: float = 6.0) -> list[float]:
    """Seconds a batch: torch, frames in a new array, frames and packed bits with `out=`."""
    floats = torch.from_numpy(images).float() / 255
    frames = convert(images, RATIO, threads=threads)
    bits = convert(images, RATIO, threads=threads, packed=True)
    return best_times(
        [
            lambda: paper_formulation(floats, weight),
            lambda: convert(images, RATIO, threads=threads),
            lambda: convert(images, RATIO, threads=threads, out=frames),
            lambda: convert(images, RATIO, threads=threads, out=bits, packed=True),
        ],
        seconds,
    )


def row(images: NDArray[np.uint8], weight: Tensor, threads: int, speed: float) -> str:
    """One line of the table."""
    batch, channels, height, width = images.shape
    plain, fresh, into_frames, into_bits = times(images, weight, threads)
    pixels = height * width
    roof_frames = (channels + STEPS * POLARITIES) * pixels * batch / speed
    roof_bits = (channels + STEPS * POLARITIES / 8) * pixels * batch / speed
    ms = [1e3 * seconds / batch for seconds in (plain, fresh, into_frames, into_bits)]
    return (
        f"| {width:3} | {batch:2} | {ms[0]:8.4f} | {ms[1]:7.4f} ({plain / fresh:4.0f}x) | {ms[2]:7.4f} "
        f"({plain / into_frames:4.0f}x) | {ms[3]:7.4f} ({plain / into_bits:4.0f}x) | {batch / into_frames:9,.0f} | "
        f"{batch / into_bits:9,.0f} | {100 * roof_frames / into_frames:3.0f} % | {100 * roof_bits / into_bits:3.0f} % |"
    )


def short() -> Iterator[Row]:
    """For `check.py`: torch's time over ours, by processor time on one thread, which other programs stretch least."""
    global CLOCK  # noqa: PLW0603
    CLOCK = time.process_time
    torch.set_num_threads(1)
    weight, rng = paper_kernels(), np.random.default_rng(0)
    for size, batch in ((32, 1), (32, 64), (128, 64), (224, 1), (224, 64)):
        images = rng.integers(0, 256, (batch, 3, size, size), dtype=np.uint8)
        plain, *ours = times(images, weight, 1, 8.0)
        for what, seconds in zip(("frames, new array", "frames, out=", "packed bits, out="), ours, strict=True):
            yield Row(f"{size} px, batch {batch}, {what}, torch / ours", plain / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="on a busy machine, with --threads 1")
    options = parser.parse_args()
    threads = options.threads
    if options.cpu_time:
        global CLOCK  # noqa: PLW0603
        CLOCK = time.process_time
    torch.set_num_threads(threads)
    speed, weight = copy_speed(threads), paper_kernels()
    print(f"{machine()}\n{threads} threads, copy speed {speed / 1e9:.1f} GB/s (read + written), S_th0 = {RATIO}\n")
    unit = "processor time" if options.cpu_time else "wall time"
    print(f"ms an image, {unit}; (ratio) = torch time / this time")
    print(
        "| px | batch | torch | frames, new array | frames, `out=` | packed bits, `out=` | frames/s | packed/s "
        "| roof frames | roof packed |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for size in SIZES:
        for batch in BATCHES:
            images = rng.integers(0, 256, (batch, 3, size, size), dtype=np.uint8)
            print(row(images, weight, threads, speed), flush=True)
    print(
        f"\nload average of the machine at the end: {os.getloadavg()[0]:.1f} (above {threads}: others were running too)"
    )


if __name__ == "__main__":
    main()
