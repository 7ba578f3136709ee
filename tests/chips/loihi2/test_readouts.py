"""How an output decides, and how SLAYER pools: against SLAYER's own blocks, live, with drawn modules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import needs_lava, needs_lava_run, run_script

from i2e_deploy.chips import Deciding
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.errors import InputError

pytestmark = [needs_lava, pytest.mark.slow]
DRAWS = 20


@pytest.fixture(scope="module")
def found() -> dict[str, list[dict[str, Any]]]:
    script = Path(__file__).parent / "lava" / "readouts.py"
    result: dict[str, list[dict[str, Any]]] = json.loads(run_script(script, str(DRAWS)).splitlines()[-1])
    return result


@pytest.mark.parametrize(("name", "kind"), [("affine", "state-mean"), ("affine without dynamics", "state")])
def test_an_affine_block_decides_as_in_slayer(name: str, kind: str, found: dict[str, list[dict[str, Any]]]) -> None:
    """Agreement: exact, every score of every sample, on both engines. The spike count would be wrong in most."""
    cases = found[name]
    assert len(cases) == DRAWS
    assert not any(case["wrong"] for case in cases)
    assert {case["kind"] for case in cases} == {kind}
    assert sum(case["by count"] for case in cases) > sum(case["samples"] for case in cases) / 3


def test_what_the_voltage_means_is_doubted_where_it_leaks(found: dict[str, list[dict[str, Any]]]) -> None:
    assert {case["doubts"] for case in found["affine"]} == {1}
    assert {case["doubts"] for case in found["affine without dynamics"]} == {0}


def test_groups_of_outputs_decide_as_slayers_average(found: dict[str, list[dict[str, Any]]]) -> None:
    """Agreement: exact, by SLAYER's Average and its classifier, where groups do not tie."""
    cases = found["average"]
    assert not any(case["wrong"] for case in cases)
    assert all(case["right"] for case in cases)
    assert sum(case["firm"] for case in cases) > 100
    assert sum(case["by output"] for case in cases) > 100


def test_outputs_that_come_later_are_counted_later(found: dict[str, list[dict[str, Any]]]) -> None:
    """Agreement: exact, the scores of blocks with delay_shift=False: the last spikes are not lost."""
    cases = found["late"]
    assert not any(case["wrong"] for case in cases)
    assert all(case["lag"] == case["expected"] for case in cases)
    assert sum(case["without lag"] for case in cases) > 100
    assert sum(case["sent"] for case in cases) > 1000


@needs_lava_run
def test_lavas_states_are_read_as_ours() -> None:
    """Agreement: exact, through Lava's runtime: the state at the end, a step later, and no mean over the steps."""
    weight = DenseSynapse(2 * np.random.default_rng(3).integers(-30, 40, (4, 3)))
    block = Block("out", CubaLif(np.array([1024]), np.array([512]), 2**17), (4,), (Connection(SOURCE, weight),))
    program = LoihiProgram(BlockNetwork((3,), (block,)))
    frames = (np.random.default_rng(4).random((2, 6, 3)) < 0.5).astype(np.int64)
    later = program.decided_by(Deciding("state", lag=1))
    wanted = later.run(frames, "lava")
    on_lava = later.run_on("lava", frames, "lava")
    assert np.array_equal(on_lava.scores(), wanted.scores())
    assert np.array_equal(on_lava.states["out"]["v"], wanted.states["out"]["v"])
    assert not np.array_equal(wanted.scores(), wanted.states["out"]["v"])
    groups = program.decided_by(Deciding("state", 2))
    assert np.array_equal(groups.run_on("lava", frames, "lava").scores(), groups.run(frames, "lava").scores())
    mean = replace(on_lava, deciding=program.decided_by(Deciding("state-mean")).deciding, read=None)
    with pytest.raises(InputError, match="does not report that state"):
        mean.decisions()


def test_pooling_of_any_size_and_stride_is_slayers_or_refused(found: dict[str, list[dict[str, Any]]]) -> None:
    """Agreement: exact, every spike of every pooling that SLAYER can run and that is not refused."""
    ran = [case for case in found["pool"] if case["ran"]]
    read = [case for case in ran if "wrong" in case]
    assert [case["case"] for case in read if case["wrong"]] == []
    assert sum(case["odd"] for case in read) > DRAWS / 2
    assert sum(case["sent"] for case in read) > 1000
    refused = [case["refused"] for case in ran if "refused" in case]
    assert refused
    assert all("choose a kernel" in text for text in refused)
