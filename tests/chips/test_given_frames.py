"""What a run is given that is no NumPy array ends in one line, on every chip and wherever it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import loihi_nets
import numpy as np
import pytest
import torch
from networks import single_neuron

from i2e_deploy.chips import Injection, LowerOptions, Program, get
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.errors import InputError


def programs() -> list[Program]:
    return [get("speck2f").lower(single_neuron(1.0, 1.0)), get("loihi2").lower(loihi_nets.tiny_blocks())]


RUNS: list[Callable[[Any, Any], Any]] = [
    lambda program, frames: program.run(frames),
    lambda program, frames: program.run(frames, engine="reference"),
    lambda program, frames: program.simulate(frames),
    lambda program, frames: program.run_on("reference", frames, injection=Injection()),
    lambda program, frames: program.in_steps(frames, 1000),
    lambda program, frames: program.session().step(frames[0, 0]),
]


@pytest.mark.parametrize("program", programs(), ids=["speck2f", "loihi2"])
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_torch_tensors_are_refused_in_one_line(program: Program, run: Any, dtype: torch.dtype) -> None:
    frames = torch.ones(1, 2, *program.input_shape, dtype=dtype)
    with pytest.raises(InputError, match=r"frames are a torch.Tensor: give a NumPy array of integers.*numpy\(\)"):
        run(program, frames)
    if dtype is not torch.float32:
        run(program, frames.numpy())


def test_lists_and_tensors_for_events_and_calibration_too() -> None:
    chip, network = get("speck2f"), single_neuron(1.0, 1.0)
    program: Any = chip.lower(network)
    frames = torch.ones(1, 2, 1, 1, 1, dtype=torch.int64)

    def board(given: Any) -> Any:
        return program.run_on_board(given, BoardOptions())

    others: list[Any] = [frames, frames.tolist()]
    for given in others:
        for run in (program.run, program.run_events, program.simulate, board):
            with pytest.raises(InputError, match=r"frames are a .*: give a NumPy array"):
                run(given)
        with pytest.raises(InputError, match=r"frames are a .*: give a NumPy array"):
            chip.lower(network, LowerOptions(calibration=given))
    assert program.run(np.asarray(frames)).output.shape == (1, 2, 1)
