"""The arrays that lava-dl's authors recorded, shipped inside its wheel."""

from __future__ import annotations

import numpy as np
from children import needs_lava

from i2e_deploy.chips.loihi2 import read_netx
from i2e_deploy.chips.loihi2.runnable import LoihiProgram

pytestmark = needs_lava


def test_ntidigits_with_axonal_delays() -> None:
    """Agreement: exact, 242 neurons x 3,000 steps. The recording starts one step before ours."""
    from shipped_nets import NETWORKS, find, frames_of

    base = find()
    assert base is not None
    network, frames = frames_of("ntidigits", 3000)
    recorded = np.load(base / NETWORKS["ntidigits"].replace("ntidigits.net", "output.npy")).T
    output = LoihiProgram(network).run(frames).output[0]
    assert output.sum() > 20_000
    assert np.array_equal(output[:-1], recorded[1:])


def test_pilotnet_sdnn() -> None:
    """Agreement: exact: the output and what the first layer sends."""
    from shipped_nets import find

    base = find()
    assert base is not None
    network = read_netx(base / "gts/pilotnet_sdnn/network.net")
    frame = np.load(base / "gts/pilotnet_sdnn/input.npy").transpose(3, 2, 1, 0)
    recorded = np.load(base / "gts/pilotnet_sdnn/output.npy")
    trace = LoihiProgram(network).run(np.concatenate([np.repeat(frame, recorded.shape[1], axis=0)])[None])
    assert np.array_equal(trace.output[0].T, recorded)
    assert recorded.any()
