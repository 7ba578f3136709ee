"""Exact agreement with Lava's own `fixed_pt` models, run live.

`I2E_LAVA_FUZZ=5000 pytest tests/chips/loihi2/test_lava_live.py` draws more networks, `I2E_LAVA_FUZZ_FIRST` others.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from children import needs_lava_run, run_script
from loihi_nets import draw_frames, draw_network

from i2e_deploy.chips import Engine
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.loihi2.targets.lava.run import run_lava
from i2e_deploy.errors import MissingDependency

LAVA = Path(__file__).parent / "lava"
#: Steps for each shipped network: Lava's convolutions cost up to 0.1 s a step.
SHIPPED = {"pilotnet_lif": 5, "pilotnet_sdnn": 12, "ntidigits": 150, "mnist": 40, "tiny": 40}
pytestmark = needs_lava_run


@pytest.mark.slow
def test_random_networks_equal_lavas_models(tmp_path: Path) -> None:
    """Agreement: exact, every message and final state of every layer; files written by us, read by netx and us."""
    count, first = int(os.environ.get("I2E_LAVA_FUZZ", "150")), os.environ.get("I2E_LAVA_FUZZ_FIRST", "0")
    printed = run_script(LAVA / "fuzz_lava.py", first, str(count), str(tmp_path), time_limit=60 + count)
    result = json.loads(printed.splitlines()[-1])  # netx prints warnings before
    assert result["differences"] == []
    seen = result["seen"]
    for kind in ("CubaLif", "Delta", "SigmaDelta", "Sigma", "Resonator", "DenseSynapse", "ConvSynapse"):
        assert seen[kind] > count / 10, kind
    for what in ("recurrent", "delayed", "grouped", "reset", "wraps", "saturations", "corrupted"):
        assert seen[what] > 0, what
    assert seen["spikes"] > 100 * count


@pytest.fixture(scope="module")
def on_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped")
    run_script(LAVA / "shipped_on_models.py", str(folder), *(x for n, s in SHIPPED.items() for x in (n, str(s))))
    return folder


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.slow
def test_trained_networks_of_the_wheel_equal_lavas_models(name: str, engine: Engine, on_models: Path) -> None:
    """Agreement: exact, every message and every final state of every layer."""
    from shipped_nets import frames_of

    network, frames = frames_of(name, SHIPPED[name] if engine == "fast" else min(SHIPPED[name], 12))
    expected = np.load(on_models / f"{name}.npz")
    trace = LoihiProgram(network).run(frames, "lava", engine)
    steps = frames.shape[1]
    for i, spikes in enumerate(trace.spikes.values()):
        assert np.array_equal(spikes[0], expected[f"sent{i}"][:steps])
    if steps == SHIPPED[name]:
        assert sum(count.spikes for count in trace.counts.values()) > 1000
        for i, variables in enumerate(trace.states.values()):
            for key, value in variables.items():
                theirs = expected[f"state{i}_{key}"]
                assert np.array_equal(value[0], theirs[: len(value[0])] if key == "in_flight" else theirs)


@pytest.mark.parametrize("seed", [22, 31])  # Sigma-Delta with a convolution; CUBA with one and recurrence
@pytest.mark.slow
def test_lavas_runtime_equals_the_program(seed: int) -> None:
    """Agreement: exact, through Lava's compiler, its processes and `Loihi2SimCfg`: what `verify --target lava` does."""
    network = draw_network(seed)
    frames = flat_frames(draw_frames(network, seed, samples=1, steps=10), network)
    lava = run_lava(network, frames, "lava", time_limit=120)
    ours = LoihiProgram(network).run(frames, "lava")
    assert all(set(counted) == {"spikes"} for counted in lava.activity().values())  # the rest Lava does not count
    for name, spikes in ours.spikes.items():
        assert np.array_equal(lava.spikes[name], spikes)
        for key, value in ours.states[name].items():
            assert np.array_equal(lava.states[name][key], value)
    assert sum(count.spikes for count in ours.counts.values()) > 20


def test_the_board_target_says_what_it_needs() -> None:
    """The wheel of lava-nc holds `Loihi2HwCfg` but not what it runs on: that is Intel's extension, on no index."""
    network = draw_network(31)
    frames = draw_frames(network, 31, samples=1, steps=2)
    with pytest.raises(MissingDependency, match="lava-loihi"):
        LoihiProgram(network).run_on("board", frames, "lava")
