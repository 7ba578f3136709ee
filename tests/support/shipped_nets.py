"""The trained networks and recorded arrays that ship inside the lava-dl wheel, beside its own tests."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2 import BlockNetwork, read_netx


def find() -> Path | None:
    """The folder of lava-dl's own tests, which its wheel installs beside `lava`."""
    spec = find_spec("lava.lib.dl.slayer")
    for place in (spec.submodule_search_locations or []) if spec else []:
        base = Path(place).parents[3] / "tests" / "lava" / "lib" / "dl" / "netx"
        if (base / "gts").is_dir():
            return base
    return None


def frames_of(name: str, steps: int) -> tuple[BlockNetwork, Any]:
    """A shipped network and [1, T, N] inputs for it."""
    base = find()
    assert base is not None
    network = read_netx(base / NETWORKS[name])
    rng = np.random.default_rng(0)
    if name == "pilotnet_lif":
        image = np.load(base / "gts/pilotnet_lif/image.npy").transpose(2, 1, 0)
        return network, np.repeat(image.reshape(1, 1, -1), steps, axis=1)
    if name == "pilotnet_sdnn":  # recorded as one frame; more are drawn around it
        frame = np.load(base / "gts/pilotnet_sdnn/input.npy")[..., 0].transpose(2, 1, 0).reshape(-1)
        noise = rng.integers(-6, 7, (steps, frame.size)) * (rng.random((steps, frame.size)) < 0.1)
        return network, (frame + noise.cumsum(0)).clip(-200, 200)[None]
    if name == "ntidigits":
        return network, np.load(base / "gts/ntidigits/input.npy").T[None, :steps].astype(np.int64)
    bias = rng.integers(0, 64, network.blocks[0].shape).reshape(1, 1, -1)
    return network, np.repeat(bias, steps, axis=1)


NETWORKS = {
    "pilotnet_lif": "gts/pilotnet_lif/network.net",
    "pilotnet_sdnn": "gts/pilotnet_sdnn/network.net",
    "ntidigits": "gts/ntidigits/ntidigits.net",
    "mnist": "mnist.net",
    "tiny": "tiny.net",
}
