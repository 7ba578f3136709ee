"""Files of the first SLAYER with `wgtExp` beside Lava's own synapses with that exponent. Prints one line of JSON.

Usage: `old_files.py COUNT FOLDER`, in a process of its own. Agreement: exact, every message and state.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from lava_child import run_and_exit
from lava_models import load, run_models
from netx_files import add_layer

from i2e_deploy.chips.loihi2 import read_netx
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.lava_shim import import_lava


def draw(rng: np.random.Generator, path: Path) -> list[int]:
    """Two dense layers, weights of both signs on a grid that a negative exponent leaves whole; their exponents."""
    sizes, exponents = [int(n) for n in rng.integers(2, 12, 3)], [int(n) for n in rng.integers(-3, 4, 2)]
    with h5py.File(path, "w") as file:
        for i, exponent in enumerate(exponents):
            layer = add_layer(file, i, "dense", (sizes[i + 1],))
            grid = 2 ** (1 + max(0, -exponent))
            weight = grid * rng.integers(-60 // grid, 80 // grid, (sizes[i + 1], sizes[i]))
            weight.flat[:2] = (-grid, grid)
            layer["weight"] = weight.astype(np.float32)
            del layer["neuron/type"]
            layer["neuron/type"], layer["neuron/wgtExp"], layer["neuron/refDelay"] = b"LOIHI", exponent, 1
    return exponents


def differing(path: Path, exponents: list[int], rng: np.random.Generator) -> tuple[int, int, int]:
    """Messages and states that differ; messages that differ without the exponent; spikes."""
    network = read_netx(path)
    frames = (rng.random((1, 30, *network.input_shape)) < 0.4).astype(np.int64)
    plain, _ = run_models(load(path), frames[0])
    lava: Any = load(path)
    for layer, exponent in zip(lava.layers, exponents, strict=True):
        parameters = layer.synapse.proc_params
        parameters.overwrite("weight_exp", parameters["weight_exp"] + exponent)
    sent, states = run_models(lava, frames[0])
    trace = LoihiProgram(network).run(frames)
    wrong = without = 0
    for i, (name, spikes) in enumerate(trace.spikes.items()):
        wrong += int((spikes[0] != sent[i]).sum())
        wrong += sum(int((trace.states[name][key][0] != states[i][key]).sum()) for key in ("u", "v"))
        without += int((spikes[0] != plain[i]).sum())
    return wrong, without, sum(count.spikes for count in trace.counts.values())


def main() -> None:
    warnings.simplefilter("ignore")
    import_lava()
    rng = np.random.default_rng(11)
    found = []
    for i in range(int(sys.argv[1])):
        path = Path(sys.argv[2]) / f"old{i}.net"  # netx leaves them open
        exponents = draw(rng, path)
        found.append((exponents, *differing(path, exponents, rng)))
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    run_and_exit(main)
