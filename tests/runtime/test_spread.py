"""Samples that are shared by processes or a cluster: the same evaluation, with other times."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowering_nets import drawn, frames_of

from i2e_deploy.chips import get
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.file import write_network
from i2e_deploy.runtime import Evaluation, Spread, evaluate

NETWORK = drawn(1)
FRAMES = np.concatenate([frames_of(NETWORK, seed, 3) for seed in range(4)])
LABELS = np.arange(len(FRAMES)) % 3


def without_times(evaluation: Evaluation) -> dict[str, Any]:
    data = evaluation.to_dict()
    for target in data["targets"].values():
        del target["latency_ms"]
    return data


def evaluated(spread: Spread | None, targets: tuple[str, ...] = ("simulator", "float"), **options: Any) -> Evaluation:
    program = get("loihi2").lower(NETWORK)
    return evaluate(program, FRAMES, LABELS, targets, batch_size=2, network=NETWORK, spread=spread, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "package"), [("process", "pickle"), ("dask", "distributed"), ("ray", "ray")])
def test_any_number_of_workers_gives_the_same(executor: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions, activity, agreement layer by layer, and where targets differ first."""
    pytest.importorskip(package)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # Ray's own is 15: on a busy machine its workers wait for minutes
    here = evaluated(None)
    for workers in (2, 3) if executor == "process" else (2,):
        there = evaluated(Spread(executor, workers))
        assert without_times(there) == without_times(here)
        for one, other in zip(here.results, there.results, strict=True):
            np.testing.assert_array_equal(one.decisions, other.decisions)


def test_one_worker_and_more_workers_than_batches_are_taken() -> None:
    here = without_times(evaluated(None))
    assert without_times(evaluated(Spread("process", 1))) == here


def test_what_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="target 'board' is one machine's: only simulations are spread"):
        evaluated(Spread("process", 2), ("simulator", "board"))
    with pytest.raises(UnsupportedError, match="cannot be spread over workers: leave one out"):
        evaluated(Spread("process", 2), ("simulator",), chain=True)
    with pytest.raises(InputError, match="executor is 'slurm': give"):
        evaluated(replace(Spread(), executor="slurm", workers=2))  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_command_shares_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_network(NETWORK, tmp_path / "n.safetensors")
    np.savez(tmp_path / "f.npz", frames=FRAMES.astype(np.uint8), labels=LABELS)
    arguments = ["evaluate", str(tmp_path / "n.safetensors"), str(tmp_path / "f.npz"), "--chip", "loihi2", "--json"]
    accuracies = []
    for more in ([], ["--workers", "2"]):
        assert run([*arguments, *more]) == 0
        accuracies.append(json.loads(capsys.readouterr().out)["targets"]["simulator"]["accuracy"])
    assert accuracies[0] == accuracies[1]
    assert run([*arguments, "--workers", "2", "--chip", "speck2f"]) == 2
