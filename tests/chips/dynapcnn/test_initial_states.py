"""Cores that start from states: discretised, run, written and sent as Sinabs does it, or as `states=` does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sinabs_networks import conv, linear, neurons, oracle, run_oracle
from tiny_programs import tiny_program
from torch import nn

from i2e_deploy.chips import Engine, get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.checks.split import halves
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.chips.dynapcnn.lowering.calibrate import calibrate
from i2e_deploy.chips.dynapcnn.peripherals import Readout
from i2e_deploy.chips.dynapcnn.targets.board import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna
from i2e_deploy.chips.trace import States
from i2e_deploy.errors import FileFormatError, UnsupportedError
from i2e_deploy.network import IntegrateAndFire, Network, from_sinabs

SHAPE = (2, 8, 8)


def ran(seed: int, far: float = 1.0) -> Any:
    """A module that holds the states of a run, `far` times as large."""
    generator = torch.Generator().manual_seed(seed)
    module: Any = nn.Sequential(
        conv(generator, 2, 3, 3, padding=1, bias=seed % 2 == 0), neurons(), nn.AvgPool2d(2),
        conv(generator, 3, 4, 3), neurons(), nn.Flatten(), linear(generator, 16, 5), neurons(),
    )  # fmt: skip
    with torch.no_grad():
        module(torch.randint(0, 3, (6, *SHAPE), generator=generator).float())
    for layer in module:
        if hasattr(layer, "v_mem"):
            layer.v_mem = layer.v_mem.detach() * far
    return module


def read(module: nn.Module) -> tuple[Network, DynapcnnProgram]:
    network = from_sinabs(module, SHAPE, states="stored")
    program = get("speck2f").lower(network)
    assert isinstance(program, DynapcnnProgram)
    return network, program


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("far", [1.0, 1000.0])
def test_states_are_discretised_as_sinabs_does(seed: int, far: float) -> None:
    """Far states change the scale of a layer: weights, bias and threshold too. Then the run goes on alike."""
    _, program = read(ran(seed, far))
    theirs = oracle(ran(seed, far), SHAPE)
    for ours, layer in zip(program.layers, theirs.dynapcnn_layers.values(), strict=True):
        np.testing.assert_array_equal(ours.weight, layer.conv.weight.detach().numpy())
        assert ours.threshold == int(layer.spk.spike_threshold)
        assert ours.min_v == int(layer.spk.min_v_mem)
        initial = np.zeros(ours.output_shape, np.int16) if ours.initial is None else ours.initial  # None: all zero
        np.testing.assert_array_equal(initial, layer.spk.v_mem[0].detach().numpy())
    frames = np.random.default_rng(seed).integers(0, 3, (1, 5, *SHAPE))
    expected = run_oracle(theirs, frames).reshape(1, 5, -1)
    for engine in ("reference", "fast"):
        np.testing.assert_array_equal(program.run(frames, engine=engine).output, expected)


def started(seed: int) -> tuple[DynapcnnProgram, DynapcnnProgram]:
    """A program with states, and the same without."""
    random, bare = np.random.default_rng(seed), tiny_program(seed=seed, bias=seed % 2 == 0)
    layers = [
        replace(layer, initial=random.integers(layer.min_v, layer.threshold, layer.output_shape).astype(np.int16))
        for layer in bare.layers
    ]
    return replace(bare, layers=tuple(layers)), bare


def states_of(program: DynapcnnProgram, samples: int) -> States:
    states = program.initial_states(samples)
    assert states is not None
    return states


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("semantics", ["timestep", "event"])
def test_a_run_starts_from_the_states_of_the_program(seed: int, engine: Engine, semantics: Any) -> None:
    """As a program without them that is given them as `states`; states that are given come before the program's."""
    program, bare = started(seed)
    frames = np.random.default_rng(seed).integers(0, 3, (2, 4, *SHAPE))
    got = program.run(frames, semantics, engine)
    wanted = bare.run(frames, semantics, engine, states=states_of(program, 2))
    np.testing.assert_array_equal(got.output, wanted.output)
    zero = {name: {"v_mem": np.zeros_like(held["v_mem"])} for name, held in states_of(program, 2).items()}
    np.testing.assert_array_equal(
        program.run(frames, semantics, engine, states=zero).output, bare.run(frames, semantics, engine).output
    )
    assert program.run(frames, semantics, engine).counts == got.counts  # and is not changed by a run


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("semantics", ["timestep", "event"])
def test_a_session_starts_from_them_each_time(seed: int, semantics: Any) -> None:
    program, _ = started(seed)
    frames = np.random.default_rng(seed).integers(0, 3, (1, 4, *SHAPE))
    whole, session = program.run(frames, semantics).output[0], program.session(semantics)
    for _ in range(2):
        session.start()
        np.testing.assert_array_equal(np.stack([session.step(frame) for frame in frames[0]]), whole)


@pytest.mark.parametrize("seed", range(5))
def test_the_fake_board_starts_every_sample_from_them(seed: int) -> None:
    program, bare = started(seed | 1)
    frames = np.random.default_rng(seed).integers(0, 2, (2, 3, *SHAPE))
    expected = program.run(frames, "event")
    with fake_samna():
        got = program.run_on_board(frames, BoardOptions(monitor=program.layer_names))
    np.testing.assert_array_equal(got.output, expected.output)
    assert not np.array_equal(expected.output, bare.run(frames, "event").output)
    assert "samples that began from states that were not zero" not in got.incidents


def test_the_configuration_writes_columns_before_rows() -> None:
    program, _ = started(0)
    cores = build_config(program, {"conv": 0, "readout": 1}, "speck2f")["cnn_layers"]
    initial = program.layers[0].initial
    assert initial is not None
    np.testing.assert_array_equal(cores["0"]["neurons_initial_value"], initial.transpose(0, 2, 1))


def test_a_map_whose_addresses_are_not_public_is_refused_on_a_board() -> None:
    first = tiny_program((2, 4, 8)).layers[0]
    first = replace(first, bias=None, initial=np.ones(first.output_shape, np.int16))
    program = DynapcnnProgram((2, 4, 8), (first,), (Source("conv"),))
    with fake_samna(), pytest.raises(UnsupportedError, match="layer 'conv' starts from states and has 4x8 neurons"):
        program.run_on("board", np.zeros((1, 1, 2, 4, 8), np.int32))


def test_a_program_file_holds_them_and_checks_them() -> None:
    program, bare = started(3)
    tensors, data = program.to_tensors()
    for ours, again in zip(program.layers, from_tensors(tensors, data).layers, strict=True):
        assert ours.initial is not None
        assert again.initial is not None
        np.testing.assert_array_equal(ours.initial, again.initial)
    assert all(layer.initial is None for layer in from_tensors(*bare.to_tensors()).layers)
    with pytest.raises(FileFormatError, match="initial states of layer 'conv': int64"):
        from_tensors(tensors | {"conv.initial": tensors["conv.initial"].astype(np.int64)}, data)
    with pytest.raises(FileFormatError, match="initial states of layer 'conv': int16"):
        from_tensors(tensors | {"conv.initial": tensors["conv.initial"][:1]}, data)


def test_the_check_says_them() -> None:
    network, program = read(ran(1))
    found = [finding for finding in get("speck2f").check(network).findings if finding.rule == "initial states"]
    assert [finding.value for finding in found] == [
        int(np.count_nonzero(layer.initial)) for layer in program.layers if layer.initial is not None
    ]
    assert not any(f.rule == "initial states" for f in get("speck2f").check(from_sinabs(ran(1), SHAPE)).findings)


def test_parts_of_a_layer_keep_theirs() -> None:
    program, _ = started(2)
    first, last = program.layers
    joined = np.concatenate([part.initial for part in halves(first, first.name)])
    assert first.initial is not None
    np.testing.assert_array_equal(joined, first.initial)
    spread = program.with_readout(Readout(threshold=2)).layers[1].initial
    assert spread is not None
    assert last.initial is not None
    np.testing.assert_array_equal(spread[::4], last.initial)
    assert np.count_nonzero(spread) == np.count_nonzero(last.initial)


def test_a_calibrated_program_starts_from_them() -> None:
    """At the scale of each layer, which the thresholds tell: that of the float layer is 1."""
    network, _ = read(ran(1))
    frames = np.random.default_rng(0).integers(0, 3, (2, 4, *SHAPE))
    floats = [layer.op.start for layer in network.layers if isinstance(layer.op, IntegrateAndFire)]
    for layer, start in zip(calibrate(network, frames).layers, floats, strict=True):
        if start is not None:
            assert layer.initial is not None
            far = np.abs(layer.initial - start.reshape(layer.output_shape) * layer.threshold).max()
            assert far <= 0.5 + 0.5 * np.abs(start).max() + 1e-3
