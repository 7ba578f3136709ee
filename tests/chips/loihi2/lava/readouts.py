"""How SLAYER's outputs decide and how it pools, beside what we read, in a process of its own.

Agreement: exact, integers. Usage: `readouts.py DRAWS`. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from lava_child import run_and_exit

from i2e_deploy.chips import Engine
from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.loihi2 import from_slayer, read_netx
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.lava_shim import import_lava

STEPS = 20
ENGINES: tuple[Engine, ...] = ("fast", "reference")
#: Of a voltage in SLAYER, which is in units of the weights, 64 for a weight and 64 for the state.
UNIT = 64 * 64


def neuron(rng: np.random.Generator) -> dict[str, float]:
    return {"threshold": 1.0, "current_decay": float(rng.uniform(0, 1)), "voltage_decay": float(rng.uniform(0, 0.5))}


def run(blocks: Any, frames: Any) -> Any:
    x = torch.from_numpy(frames)
    with torch.no_grad():
        for block in blocks:
            x = block(x)
    return x


def forgotten(blocks: Any) -> Any:
    """The blocks for evaluation, without what an earlier batch left in their neurons."""
    for block in blocks:
        for name in ("current_state", "voltage_state"):
            state = getattr(getattr(block, "neuron", None), name, None)
            if state is not None:
                state.zero_()
    return blocks.eval()


def affine(rng: np.random.Generator, dynamics: bool) -> dict[str, Any]:
    """An Affine block: the mean of what it returns decides in SLAYER."""
    cuba = import_module("lava.lib.dl.slayer").block.cuba
    hidden, classes = int(rng.integers(4, 20)), int(rng.integers(2, 7))
    blocks = torch.nn.ModuleList([
        cuba.Dense(neuron(rng), 12, hidden, weight_scale=3),
        cuba.Affine(neuron(rng), hidden, classes, weight_scale=3, dynamics=dynamics),
    ])  # fmt: skip
    frames = (rng.random((8, 12, STEPS)) < 0.3).astype(np.float32)
    run(blocks, frames)
    program = LoihiProgram(from_slayer(blocks))
    wanted = np.round(run(forgotten(blocks), frames).numpy().sum(axis=-1, dtype=np.float64) * UNIT).astype(np.int64)
    given = np.moveaxis(frames, -1, 1).astype(np.int64)
    found = {engine: program.run(given, engine=engine) for engine in ENGINES}
    counted = found["fast"].output.sum(axis=1).argmax(axis=1)
    return {
        "wrong": sum(int((trace.scores() != wanted).sum()) for trace in found.values()),
        "by count": int((counted != wanted.argmax(axis=1)).sum()),
        "samples": len(frames),
        "kind": program.deciding.kind,
        "doubts": sum(note.doubtful for note in program.network.notes),
    }


def late(rng: np.random.Generator) -> dict[str, Any]:
    """Blocks that do not delay what they send: our output comes as many steps later, and is counted from there on."""
    cuba = import_module("lava.lib.dl.slayer").block.cuba
    shifts = [bool(rng.random() < 0.5) for _ in range(3)]
    sizes = [12, *(int(n) for n in rng.integers(4, 16, 3))]
    made = zip(sizes, sizes[1:], shifts, strict=False)
    blocks: Any = torch.nn.ModuleList(
        [cuba.Dense(neuron(rng), a, b, weight_scale=4, delay_shift=s) for a, b, s in made]
    )
    if rng.random() < 0.5:
        blocks.append(cuba.Affine(neuron(rng), sizes[-1], 4, weight_scale=3))
    frames = (rng.random((8, 12, STEPS)) < 0.4).astype(np.float32)
    run(blocks, frames)
    program = LoihiProgram(from_slayer(blocks))
    returned = run(forgotten(blocks), frames).numpy().sum(axis=-1, dtype=np.float64)
    wanted = np.round(returned * (UNIT if len(blocks) > 3 else 1)).astype(np.int64)
    trace = program.run(np.moveaxis(frames, -1, 1).astype(np.int64))
    at_once = program.decided_by(replace(program.deciding, lag=0)).run(np.moveaxis(frames, -1, 1).astype(np.int64))
    return {
        "wrong": int((trace.scores() != wanted).sum()),
        "without lag": int((at_once.scores() != wanted).sum()),
        "lag": program.deciding.lag,
        "expected": shifts.count(False) + (len(blocks) > 3),
        "sent": int(np.abs(wanted).sum()),
    }


def average(rng: np.random.Generator, folder: Path) -> dict[str, Any]:
    """The layer `average`: SLAYER's own block and its classifier decide."""
    slayer = import_module("lava.lib.dl.slayer")
    classes, each = int(rng.integers(2, 6)), int(rng.integers(2, 5))
    blocks: Any = torch.nn.ModuleList([slayer.block.cuba.Dense(neuron(rng), 10, classes * each, weight_scale=6)])
    frames = (rng.random((12, 10, STEPS)) < 0.4).astype(np.float32)
    run(blocks, frames)
    with h5py.File(folder / "average.net", "w") as file:
        blocks[0].export_hdf5(file.create_group("layer/0"))
        file["layer/1/type"], file["layer/1/shape"] = b"average", np.array([classes, 1, 1])
    means = slayer.block.cuba.Average(classes)(run(forgotten(blocks), frames))
    wanted = slayer.classifier.Rate.predict(means).numpy()
    program = LoihiProgram(read_netx(folder / "average.net"))
    trace = program.run(np.moveaxis(frames, -1, 1).astype(np.int64))
    firm = np.sort(trace.scores(), axis=1)[:, -1] > np.sort(trace.scores(), axis=1)[:, -2]  # floats round ties
    return {
        "wrong": int((trace.decisions() != wanted)[firm].sum()),
        "by output": int((trace.output.sum(axis=1).argmax(axis=1) != wanted).sum()),
        "firm": int(firm.sum()),
        "right": program.deciding == Deciding("count", classes),
    }


def pool(rng: np.random.Generator) -> dict[str, Any]:
    """Pooling of any size, with any stride: every spike of SLAYER's forward, or refused."""
    cuba = import_module("lava.lib.dl.slayer").block.cuba
    channels, kernel = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    stride = kernel if rng.random() < 0.7 else int(rng.integers(1, 5))
    padding = int(rng.integers(0, 2)) if rng.random() < 0.2 else 0
    sizes = [int(n) for n in rng.integers(kernel, 18, 2)]
    parameters = {**neuron(rng), "threshold": 0.5}
    blocks = torch.nn.ModuleList([cuba.Pool(parameters, kernel, stride, padding, weight_scale=30)])
    frames = (rng.random((2, channels, *sizes, STEPS)) < 0.3).astype(np.float32)
    case = f"{channels}x{sizes} by {kernel}, stride {stride}, padding {padding}"
    try:
        run(blocks, frames)
    except RuntimeError:  # SLAYER cannot run it
        return {"case": case, "ran": False}
    try:
        network = from_slayer(blocks, input_shape=(channels, *sizes))
    except UnsupportedError as error:
        return {"case": case, "ran": True, "refused": str(error)}
    wanted = np.moveaxis(run(forgotten(blocks), frames).numpy(), -1, 1)
    trace = LoihiProgram(network).run(np.moveaxis(frames, -1, 1).astype(np.int64))
    odd = any(n % kernel for n in sizes)
    wrong = int((trace.spikes["0.pool"] != wanted).sum())
    return {"case": case, "ran": True, "wrong": wrong, "sent": int(wanted.sum()), "odd": odd}


def main() -> None:
    warnings.simplefilter("ignore")
    import_lava()
    torch.manual_seed(5)
    rng, draws = np.random.default_rng(5), int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "affine": [affine(rng, True) for _ in range(draws)],
            "affine without dynamics": [affine(rng, False) for _ in range(draws)],
            "average": [average(rng, Path(folder)) for _ in range(draws)],
            "late": [late(rng) for _ in range(draws)],
            "pool": [pool(rng) for _ in range(4 * draws)],
        }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    run_and_exit(main)
