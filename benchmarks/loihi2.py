"""The Loihi 2 engine beside Lava (netx, `Loihi2SimCfg`, `fixed_pt`) on the same inputs, in one run, outputs compared.

    python benchmarks/loihi2.py [--nets FOLDER] [--quick] > benchmarks/results/loihi2.txt

PilotNet LIF, PilotNet SDNN and ntidigits are the trained networks inside the lava-dl wheel. FOLDER is what
`slayer_mnist.py --folder FOLDER` has filled: two networks trained on MNIST, and digits that they have not seen. Without
it the two have weights drawn at the scale of trained ones, and random pixels. Times are the best of several.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rows import NotRun, Row, machine

from i2e_deploy.chips.loihi2 import BlockNetwork, LoihiProgram, read_netx
from i2e_deploy.chips.loihi2.engine.simulator import Stream
from i2e_deploy.chips.loihi2.formats.netx_write import write_netx
from i2e_deploy.chips.loihi2.program import SOURCE, Block, Connection, ConvSynapse, CubaLif, DenseSynapse

Array = Any


@dataclass(frozen=True)
class Case:
    """One row: a network, its file, frames [T, N] and how many steps Lava gets; `batch` is [64, T, N].

    `sample`: steps of one sample.
    """

    name: str
    network: BlockNetwork
    path: Path
    frames: Array
    lava_steps: int
    lava_layers: int = 0
    batch: Array | None = None
    sample: int = 100


def shipped() -> Path:
    spec = find_spec("lava.lib.dl.slayer")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))).parents[3] / "tests/lava/lib/dl/netx"


def cases(folder: Path, quick: bool, nets: Path | None = None) -> list[Case]:
    base, rng = shipped() / "gts", np.random.default_rng(0)
    steps = 24 if quick else 96
    image = np.load(base / "pilotnet_lif/image.npy").transpose(2, 1, 0).reshape(1, -1)
    frame = np.load(base / "pilotnet_sdnn/input.npy")[..., 0].transpose(2, 1, 0).reshape(-1)
    change = rng.integers(-6, 7, (steps, frame.size)) * (rng.random((steps, frame.size)) < 0.1)
    spikes = np.load(base / "ntidigits/input.npy").T[:1500]
    found = [
        Case("PilotNet LIF", *_file(base / "pilotnet_lif/network.net"), np.repeat(image, steps, 0), 16),
        Case(
            "PilotNet SDNN", *_file(base / "pilotnet_sdnn/network.net"), (frame + change.cumsum(0)).clip(-200, 200), 24
        ),
        Case("ntidigits", *_file(base / "ntidigits/ntidigits.net"), spikes, 600, 5),
    ]
    return found + (_drawn(folder, rng) if nets is None else _trained(nets))


def _drawn(folder: Path, rng: np.random.Generator) -> list[Case]:
    found = []
    for name, network in (("drawn dense", _dense(rng)), ("drawn conv", _conv(rng))):
        write_netx(network, folder / f"{name}.net")
        size = int(np.prod(network.input_shape))
        pixels = (rng.random((300, size)) < 0.1 * (rng.random(size) < 0.4)).astype(np.int64)
        found.append(Case(name, network, folder / f"{name}.net", pixels, 200))
    return found


def _trained(nets: Path) -> list[Case]:
    """Digits one after the other: 37 of them, and 64 streams of 12 that differ."""
    digits = np.load(nets / "mnist_frames.npy")
    digits = digits.reshape(*digits.shape[:2], -1)
    steps, size = digits.shape[1:]
    stream, many = digits[:37].reshape(37 * steps, size), np.resize(digits, (64, 12 * steps, size))
    return [
        Case(f"MNIST {kind}", *_file(nets / f"mnist_{kind}.net"), stream, 200, 0, many, steps)
        for kind in ("dense", "conv")
    ]


def _file(path: Path) -> tuple[BlockNetwork, Path]:
    return read_netx(path), path


def _lif(threshold: int) -> CubaLif:
    return CubaLif(np.array([1024]), np.array([128]), threshold)


def _dense(rng: np.random.Generator, sizes: tuple[int, ...] = (784, 256, 10)) -> BlockNetwork:
    blocks = []
    for i, (given, out) in enumerate(pairwise(sizes)):
        weight = 2 * np.round(rng.normal(1, 8, (out, given))).astype(np.int64)
        source = SOURCE if i == 0 else f"{i - 1}"
        blocks.append(Block(str(i), _lif(400), (out,), (Connection(source, DenseSynapse(weight)),)))
    return BlockNetwork(sizes[:1], tuple(blocks))


def _conv(rng: np.random.Generator) -> BlockNetwork:
    first = ConvSynapse(2 * np.round(rng.normal(2, 8, (16, 1, 5, 5))).astype(np.int64), (2, 2), (2, 2))
    second = ConvSynapse(2 * np.round(rng.normal(1, 6, (32, 16, 3, 3))).astype(np.int64), (2, 2), (1, 1))
    last = DenseSynapse(2 * np.round(rng.normal(0, 6, (10, 32 * 49))).astype(np.int64))
    blocks = (
        Block("0", _lif(150), (16, 14, 14), (Connection(SOURCE, first),)),
        Block("1", _lif(200), (32, 7, 7), (Connection("0", second),)),
        Block("2", _lif(300), (10,), (Connection("1", last),)),
    )
    return BlockNetwork((1, 28, 28), blocks)


def lava(case: Case, folder: Path) -> dict[str, Any]:
    frames, result = folder / "frames.npy", folder / "lava.json"
    np.save(frames, case.frames[: case.lava_steps].astype(np.int32))
    bits = "0"
    arguments = [str(case.path), str(frames), str(case.lava_layers), str(result), bits]
    subprocess.run(  # noqa: S603
        [sys.executable, str(Path(__file__).with_name("lava_peer.py")), *arguments],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=500, start_new_session=True,
    )  # fmt: skip
    parsed: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return parsed


def timed(case_network: BlockNetwork, frames: Array, repeats: int, streamed: bool = False) -> tuple[float, float]:
    """Shortest ms a step of several fresh runs, wall and CPU, without the first step and without preparation."""
    found = []
    for _ in range(repeats):
        stream = Stream(case_network, frames.shape[0], "lava")
        stream.advance(frames[:, :1])
        wall, cpu = time.perf_counter(), time.process_time()
        if streamed:
            for t in range(1, frames.shape[1]):
                stream.advance(frames[:, t : t + 1])
        else:
            stream.advance(frames[:, 1:])
        scale = 1000 / (frames.shape[1] - 1)
        found.append(((time.perf_counter() - wall) * scale, (time.process_time() - cpu) * scale))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def engine(case: Case, repeats: int, many: bool = True) -> dict[str, float]:
    """ms a step: whole sequence, step by step, and, for `many`, batch 64 (per sample and step)."""
    frames = case.frames[None].astype(np.int16)
    whole, cpu = timed(case.network, frames, repeats)
    stream, stream_cpu = timed(case.network, frames, max(3, repeats // 3), streamed=True)
    single = {"whole": whole, "cpu": cpu, "stream": stream, "stream_cpu": stream_cpu}
    if not many:
        return single
    batch = (
        case.batch if case.batch is not None else np.repeat(frames[:, : 12 if frames.shape[2] > 5000 else 100], 64, 0)
    )
    wall, wall_cpu = timed(case.network, batch, max(2, repeats // 4))
    return {**single, "batch": wall / 64, "batch_cpu": wall_cpu / 64}


def sparsity(case: Case) -> list[str]:
    """Cost of a step against the share of input neurons that fire."""
    rng, rows = np.random.default_rng(1), []
    blocks = tuple(replace(b, bias=None) for b in case.network.blocks)
    network = replace(case.network, blocks=blocks)
    first = network.blocks[1]
    network = replace(
        network, input_shape=network.blocks[0].shape, input_message_bits=0, input_transform=None,
        blocks=(replace(first, connections=(replace(first.connections[0], source=SOURCE),)), *network.blocks[2:]),
    )  # fmt: skip
    size = int(np.prod(network.input_shape))
    for share in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0):
        frames = (rng.random((1, 48, size)) < share).astype(np.uint8)
        stream = Stream(network, 1)
        stream.advance(frames)
        synops = sum(c.synops for c in stream.counts().values()) / 48
        ms, _ = timed(network, frames, 5)
        rows.append(f"{100 * share:7.1f} % {synops:14,.0f} {ms:12.3f}")
    return rows


def row(case: Case, neurons: int, spikes: float, peer: dict[str, Any], ours: dict[str, float]) -> str:
    """One line of the table."""
    wall, cpu = peer["ms_per_step"], peer["cpu_ms_per_step"]
    text = f"{case.name:14}{neurons:8,}{spikes:12,.0f}{100 * spikes / neurons:7.1f} %{wall:9.2f} |{cpu:6.1f}"
    for key in ("whole", "stream", "batch"):
        mine = ours["cpu" if key == "whole" else f"{key}_cpu"]
        text += f"{ours[key]:9.4f} |{mine:7.4f}{wall / ours[key]:6.0f} |{cpu / mine:5.0f}"
    return text + f"{1000 / (ours['batch'] * case.sample):10,.0f}{peer['parent_mb'] + peer['child_mb']:8,.0f}"


def equal(case: Case, peer: dict[str, Any]) -> Stream:
    """Our run over the case's frames, whose output is Lava's."""
    stream = Stream(case.network, 1, "lava")
    output = stream.advance(case.frames[None].astype(np.int16))[0]
    expected = np.array(peer["output"]).reshape(case.lava_steps, -1)
    assert np.array_equal(output[: case.lava_steps], expected), case.name
    return stream


def session_row() -> Row:
    """A step of `LoihiProgram.session()` beside `Stream`'s own, by processor time in turns, on 200-256-200."""
    rng = np.random.default_rng(0)
    network = _dense(rng, (200, 256, 200))
    frames = (rng.random((100, 200)) < 0.05).astype(np.uint8)
    stream, session = Stream(network), LoihiProgram(network).session()
    best = {"stream": float("inf"), "session": float("inf")}
    for _ in range(8):
        start = time.process_time()
        sent = [stream.advance(frame[None, None])[0, 0] for frame in frames]
        middle = time.process_time()
        given = [session.step(frame) for frame in frames]
        best["session"] = min(best["session"], time.process_time() - middle)
        best["stream"] = min(best["stream"], middle - start)
        assert np.array_equal(sent, given)
    return Row("session, a step, 200-256-200, Stream / session", best["stream"] / best["session"])


def short() -> Iterator[Row | NotRun]:
    """For `check.py`: Lava's processor time over ours; Lava's alone is stable on a machine that others use too.

    Lava gets fewer steps than in `main`, the PilotNets no batches (0.5 GB, and half a minute of preparation).
    """
    yield session_row()
    if int(np.__version__.split(".")[0]) >= 2:
        yield NotRun("Lava needs numpy below 2")
        return
    lava_steps = {"PilotNet LIF": 8, "PilotNet SDNN": 16, "ntidigits": 100, "drawn dense": 200, "drawn conv": 60}
    with tempfile.TemporaryDirectory() as name:
        for full in cases(Path(name), quick=True):
            case = replace(full, lava_steps=lava_steps[full.name])
            peer = lava(case, Path(name))
            equal(case, peer)
            ours = engine(case, 3, many=not case.name.startswith("PilotNet"))
            for key, cpu in (("whole", "cpu"), ("stream", "stream_cpu"), ("batch", "batch_cpu")):
                if cpu in ours:
                    yield Row(f"{case.name}, {key}, Lava / ours", peer["cpu_ms_per_step"] / ours[cpu])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nets", type=Path, help="folder with mnist_dense.net, mnist_conv.net, mnist_frames.npy")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print(machine(), "| load", " ".join(f"{x:.1f}" for x in os.getloadavg()), flush=True)
    print("ms a step, wall | CPU of all processes and threads; x: Lava's over ours. whole: all steps at once, batch 1;")
    print("stream: step by step, batch 1; batch 64: per sample and step. Lava: batch 1, it has no other.")
    print(f"Both may use all {os.cpu_count()} cores and read back the last layer alone. All outputs equal Lava's.")
    print("First steps, compilation and preparation are left out on both sides.")
    source = "weights and input DRAWN AT RANDOM; --nets measures trained ones"
    print("MNIST:", source if arguments.nets is None else "trained with SLAYER, on digits not seen in training.", "\n")
    head = [
        "network",
        "neurons",
        "spikes/step",
        "rate",
        "Lava",
        "whole",
        "x",
        "stream",
        "x",
        "batch 64",
        "x",
        "samples/s",
        "Lava MB",
    ]
    print("{:14}{:>8}{:>12}{:>9}{:>16}{:>17}{:>12}{:>17}{:>12}{:>17}{:>12}{:>10}{:>8}".format(*head), flush=True)
    with tempfile.TemporaryDirectory() as name:
        found = cases(Path(name), arguments.quick, arguments.nets)
        for case in found:
            peer = lava(case, Path(name))
            stream = equal(case, peer)
            spikes = sum(c.spikes for c in stream.counts().values()) / len(case.frames)
            neurons = sum(p.plan.layer.size for p in stream.populations)
            print(row(case, neurons, spikes, peer, engine(case, 3 if arguments.quick else 9)), flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("\nsamples/s: batch 64, of 100 steps each, MNIST digits of 8. Lava MB: its parent and its largest child.")
        print(f"Peak memory of this process, all networks and batches: {peak:,.0f} MB")
        print("\nPilotNet LIF without biases and input layer, random spikes in: cost against activity")
        print("  input on   synops a step   ms a step")
        for line in sparsity(found[0]):
            print(line)


if __name__ == "__main__":
    main()
