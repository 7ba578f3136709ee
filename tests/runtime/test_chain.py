"""`evaluate --chain`: states are kept from sample to sample, as on a board that nobody resets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from tiny_programs import tiny_program

from i2e_deploy import network as nw
from i2e_deploy.chips import Injection
from i2e_deploy.cli.app import run
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.runtime import evaluate

PROGRAM = tiny_program()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("semantics", ["timestep", "event"])
def test_a_chain_of_samples_is_one_long_run(seed: int, semantics: Any) -> None:
    frames = np.random.default_rng(seed).integers(0, 3, (5, 4, *PROGRAM.input_shape))
    result = evaluate(PROGRAM, frames, targets=["simulator", "reference"], semantics=semantics, chain=True)
    whole = PROGRAM.run(frames.reshape(1, 20, *PROGRAM.input_shape), semantics).output[0].reshape(5, 4, -1)
    for target in result.results:
        np.testing.assert_array_equal(target.decisions, whole.sum(axis=1).argmax(axis=1))
        assert sum(counts["spikes"] for counts in target.activity.values()) == sum(
            count.spikes
            for count in PROGRAM.run(frames.reshape(1, 20, *PROGRAM.input_shape), semantics).counts.values()
        )
    assert result.agreements[0].exact
    assert result.how.endswith("states kept from sample to sample")
    assert result.to_dict()["chained"]
    assert not evaluate(PROGRAM, frames).to_dict()["chained"]


def test_recordings_are_chained_at_their_own_times() -> None:
    side = PROGRAM.input_shape[1]
    recordings = [random_events(300, side, side, seed=seed) for seed in range(4)]
    for events in recordings:
        events["t"] -= events["t"][0]
    frames = np.ones((4, 4, *PROGRAM.input_shape), np.int32)
    result = evaluate(PROGRAM, frames, semantics="event", recordings=recordings, chain=True)
    states, spikes = None, 0
    for events in recordings:
        step = Injection(step_us=int(events["t"][-1]) // 4 + 1)
        trace = PROGRAM.run_events(events, states=states, options=step)
        states, spikes = trace.states, spikes + sum(count.spikes for count in trace.counts.values())
    assert sum(counts["spikes"] for counts in result.results[0].activity.values()) == spikes


@pytest.mark.parametrize("target", ["float", "board"])
def test_targets_that_start_afresh_are_refused(target: str) -> None:
    frames = np.zeros((2, 3, *PROGRAM.input_shape), np.int32)
    with pytest.raises(UnsupportedError, match=f"target '{target}' starts every sample afresh"):
        evaluate(PROGRAM, frames, targets=["simulator", target], chain=True)


def test_the_table_of_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = np.random.default_rng(0).normal(0.1, 0.3, (3, 2, 8, 8)).astype(np.float32)
    network = nw.chain((2, 8, 8), {"c": nw.Conv2d(weight), "n": nw.IntegrateAndFire(min_v=-1.0)})
    nw.write(network, tmp_path / "n.safetensors")
    frames = np.random.default_rng(1).integers(0, 3, (4, 3, 2, 8, 8)).astype(np.int32)
    np.savez(tmp_path / "f.npz", frames=frames, labels=np.zeros(4, np.int64))
    arguments = ["evaluate", str(tmp_path / "n.safetensors"), str(tmp_path / "f.npz")]
    assert run([*arguments, "--chain"]) == 0
    assert "kept from sample to sample" in " ".join(capsys.readouterr().out.split())
    assert run(arguments) == 0
    assert "kept from sample" not in capsys.readouterr().out
