"""Pages of the docs as a reader walks them: a folder with what they take for granted, and their lines in order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from event_strategies import random_events
from PIL import Image

import i2e_deploy as i2e
from i2e_deploy.cli.app import run as run_command
from i2e_deploy.events.files import write_events
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, chain

DOCS = Path(__file__).parents[2] / "docs"
#: Lines that a test of the named file runs, or that take minutes: a page says them, nobody walks them here.
LEFT_OUT = ("train ", "results.zip", "speck://")


def small_network(rng: np.random.Generator) -> Network:
    """Two layers on 16 x 16 pixels that fit every chip, and fire."""
    neuron = IntegrateAndFire(1.0, -1.0)
    conv = Conv2d(rng.normal(0.1, 0.3, (4, 2, 3, 3)).astype(np.float32), stride=(2, 2), padding=(1, 1))
    last = Linear(rng.normal(0.05, 0.2, (2, 4 * 8 * 8)).astype(np.float32))
    return chain((2, 16, 16), {"conv": conv, "n": neuron, "flat": Flatten(), "last": last, "out": neuron})


def fill_desk() -> None:
    """Into the working folder: a network, frames, recordings, pictures, readings, a bundle."""
    rng = np.random.default_rng(0)
    network = small_network(rng)
    i2e.network.write(network, "network.safetensors")
    frames = (rng.random((6, 5, 2, 16, 16)) < 0.2).astype(np.int32)
    np.save("frames.npy", frames)
    chip = i2e.chips.get("speck2f")
    labels = chip.lower(network).run(frames).decisions()
    np.savez("frames.npz", frames=frames, labels=labels)
    i2e.bundle.write("my_bundle", chip, network, frames[:2])
    write_events(Path("recording.npz"), random_events(400, 16, 16), (16, 16))
    for index in range(4):
        folder = Path("recordings") / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write_events(folder / f"{index}.npz", random_events(300, 16, 16), (16, 16))
        picture = Path("photos") / "ab"[index % 2] / f"{index}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)).save(picture)
    Path("readings.csv").write_text("synops_per_s,spikes_per_s,watts\n0,0,0.0005\n1e6,1e4,0.0009\n2e6,1e4,0.0012\n")


def walk(page: str, **replaced: str) -> dict[str, Any]:
    """Run a page; a line that says `exits with 1` must do so, every other command must end with 0."""
    names: dict[str, Any] = {}
    for kind, body in re.findall(r"```(\w*)\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        if kind == "python":
            exec(body, names)
        lines = [line for line in body.splitlines() if line.startswith("i2e-deploy ")] if not kind else []
        for line in (line for line in lines if not any(part in line for part in LEFT_OUT)):
            words = line
            for old, new in replaced.items():
                words = words.replace(f".{old}", f".{new}").replace(f"--target {old}", f"--target {new}")
            assert run_command(shlex.split(words, comments=True)[1:]) == ("exits with 1" in line), line
    return names
