"""Run the shipped networks on Lava's process models and save what each layer did: `... FOLDER NAME STEPS ...`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from lava_child import run_and_exit
from lava_models import load, run_models
from shipped_nets import NETWORKS, find, frames_of

from i2e_deploy.lava_shim import import_lava


def main(folder: Path, jobs: list[str]) -> None:
    warnings.simplefilter("ignore")
    import_lava()
    base = find()
    assert base is not None
    for name, steps in zip(jobs[::2], jobs[1::2], strict=True):
        network, frames = frames_of(name, int(steps))
        options = {"num_layers": 5} if name == "ntidigits" else {}  # netx has no `average` layer
        net = load(base / NETWORKS[name], **options)
        sent, states = run_models(
            net, frames[0].reshape(-1, *network.blocks[0].shape) if "input" in network.blocks[0].name else frames[0]
        )
        arrays = {f"sent{i}": s for i, s in enumerate(sent)}
        arrays |= {f"state{i}_{k}": v for i, state in enumerate(states) for k, v in state.items()}
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type, unused-ignore]


if __name__ == "__main__":
    run_and_exit(lambda: main(Path(sys.argv[1]), sys.argv[2:]))
