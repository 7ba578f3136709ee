"""How long a user waits for the first result: importing the package, `--help`, and `verify`, cold and warm.

    python benchmarks/cold_start.py > benchmarks/results/cold_start.txt

Each figure is of a process of its own, from its start to its end. Cold: numba's cache is empty, as after installation.
Warm: the same again. The bundle is of the demo's shape (five layers on 32x32 pixels, four golden samples of eight
steps, events on about 9.6 % of the pixels); its weights are random. CPU time is what the process took on all cores: on
a machine where others work it is the steadier of the two.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from i2e_deploy import bundle
from i2e_deploy.chips import get
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, chain

MAIN = "from i2e_deploy.cli import main; main()"


def demo_network(rng: np.random.Generator) -> Network:
    """The demo's shape; weights strong enough that a tenth of the neurons of every layer spikes in a step."""

    def conv(features: int, channels: int, kernel: int, stride: int) -> Conv2d:
        shape, padding = (features, channels, kernel, kernel), kernel // 2
        return Conv2d(normal(shape), stride=(stride, stride), padding=(padding, padding))

    def normal(shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.normal(0, 2 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)

    neuron = IntegrateAndFire(1.0, -1.0)
    return chain(
        (2, 32, 32),
        {
            "0": conv(8, 2, 5, 2), "1": neuron, "2": conv(32, 8, 3, 2), "3": neuron, "4": conv(32, 32, 3, 1),
            "5": neuron, "6": conv(64, 32, 3, 2), "7": neuron, "8": Flatten(), "9": Linear(normal((10, 1024))),
            "10": neuron,
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Spent:
    """Seconds of one process."""

    wall: float
    cpu: float


def run(*arguments: str, cache: str = "") -> Spent:
    """One process; `cache` is the folder of numba's cache."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environ = {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", *arguments]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def verify(path: Path) -> tuple[Spent, Spent]:
    """With an empty cache, and again."""
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (run(MAIN, "verify", str(path), cache=cache) for _ in range(2))
    return cold, warm


def show(name: str, spent: list[Spent]) -> None:
    wall, cpu = (statistics.median(getattr(each, kind) for each in spent) for kind in ("wall", "cpu"))
    print(f"{name:<28s} {wall:8.2f} {min(each.wall for each in spent):8.2f} {cpu:8.2f}", flush=True)


def machine() -> str:
    """Processor, cores, versions."""
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numba", "numpy", "typer"))
    return f"{model.split(':')[1].strip()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = range(parser.parse_args().repeats)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        frames = (rng.random((4, 8, 2, 32, 32)) < 0.096).astype(np.uint8)
        path = bundle.write(Path(folder) / "bundle", get("speck2f"), demo_network(rng), frames).path
        cold, warm = zip(*(verify(path) for _ in repeats), strict=True)
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f}")
    print(f"seconds, {len(repeats)} runs each     median wall  least wall  median CPU")
    show("python, nothing imported", [run("pass") for _ in repeats])
    show("import i2e_deploy", [run("import i2e_deploy") for _ in repeats])
    show("i2e-deploy --help", [run(MAIN, "--help") for _ in repeats])
    show("i2e-deploy verify, cold", list(cold))
    show("i2e-deploy verify, warm", list(warm))


if __name__ == "__main__":
    main()
