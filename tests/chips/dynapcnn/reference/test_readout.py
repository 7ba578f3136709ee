"""The readout block by hand, and its erratum: spread channels equal Sinabs' `extend_readout_layer`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sinabs_networks import conv, linear, neurons, oracle
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.chips.dynapcnn.peripherals import Readout
from i2e_deploy.chips.dynapcnn.reference.readout import read_out
from i2e_deploy.chips.dynapcnn.targets.board import setup
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import from_sinabs


def module(classes: int = 5, bias: bool = True) -> nn.Sequential:
    g = torch.Generator().manual_seed(0)
    return nn.Sequential(
        conv(g, 2, 4, 3, stride=2), neurons(), nn.Flatten(), linear(g, 36, classes, bias=bias), neurons()
    )


def lowered(classes: int = 5, bias: bool = True) -> DynapcnnProgram:
    program = get("speck2f").lower(from_sinabs(module(classes, bias), (2, 8, 8)))
    assert isinstance(program, DynapcnnProgram)
    return program


def spikes(*rows: list[int]) -> NDArray[np.int64]:
    """Output [1, T, N]."""
    return np.array([rows], np.int64)


@pytest.mark.parametrize("bias", [True, False])
def test_spread_channels_equal_sinabs_extended_readout_layer(bias: bool) -> None:
    network = oracle(module(bias=bias), (2, 8, 8))  # puts the stand-in for samna there, before what needs it
    from sinabs.backend.dynapcnn.utils import extend_readout_layer

    network = extend_readout_layer(network)
    theirs = network.make_config(layer2core_map={0: 0, 1: 3}, device="speck2fmodule").cnn_layers[3].fields()
    program = lowered(bias=bias).with_readout(Readout())
    data = build_config(program, dict(zip(program.layer_names, (0, 3), strict=True)), "speck2f")
    ours = data["cnn_layers"]["3"]
    assert ours["weights"] == theirs["weights"]
    assert ours["biases"] == theirs["biases"]
    assert ours["dimensions"] == theirs["dimensions"]
    assert ours["dimensions"]["output_shape"]["feature_count"] == (5 - 1) * 4 + 1
    assert ours["destinations"] == [{"layer": 12, "enable": True, "pooling": 1}]
    assert data["readout"]["readout_configuration_sel"] == 3


@pytest.mark.parametrize("semantics", ["timestep", "event"])
def test_spreading_changes_no_output(semantics: str) -> None:
    program = lowered()
    frames = np.random.default_rng(1).integers(0, 3, (2, 6, 2, 8, 8))
    plain, read = (p.run(frames, semantics) for p in (program, program.with_readout(Readout())))
    assert plain.output.sum() > 0
    np.testing.assert_array_equal(plain.output, read.output)
    last = program.layer_names[-1]
    np.testing.assert_array_equal(read.spikes[last][:, :, ::4], plain.spikes[last])


def test_the_winner_must_be_greater_than_the_threshold() -> None:
    output = spikes([0, 3], [0, 2], [4, 1], [0, 0])
    trace = read_out(Readout(threshold=2), output)
    assert trace.winner.tolist() == [[2, 2, 1, 0]]  # class 0 is idle
    assert trace.interrupt.tolist() == [[True, False, True, False]]
    assert trace.decisions().tolist() == [0]
    assert read_out(Readout(threshold=9), output).decisions().tolist() == [-1]
    assert read_out(Readout(threshold=9, override=True), output).interrupt.all()


def test_moving_averages() -> None:
    output = np.zeros((1, 40, 1), np.int64)
    output[0, 0, 0] = 64
    window = read_out(Readout(window=16), output).averages[0, :, 1]
    assert window.tolist() == [4] * 16 + [0] * 24
    assert read_out(Readout(window=32), output).averages[0, :, 1].tolist() == [2] * 32 + [0] * 8
    recursive = read_out(Readout(window=16, average="recursive"), output).averages[0, :, 1]
    assert recursive[0] == 4
    assert (np.diff(recursive) <= 0).all()


def test_values_of_every_mode() -> None:
    """Table 6: bits 19 to 16 the winner, bits 15 to 0 by mode."""
    output = spikes([3, 7, 5])
    value: dict[int, Any] = {
        mode: int(read_out(Readout(threshold=4, mode=mode, selected=1), output).values[0, 0])  # type: ignore[arg-type]
        for mode in range(4)
    }
    assert value[0] == 0
    assert value[1] == 1 << 20 | 2 << 16 | 0b1100  # classes 2 and 3 pass
    assert value[2] == 1 << 20 | 2 << 16 | 3
    assert value[3] == 1 << 20 | 2 << 16 | 7


def test_ties_and_counters() -> None:
    output = spikes([2, 2])
    assert read_out(Readout(), output).winner.item() == 1
    assert read_out(Readout(tie="highest"), output).winner.item() == 2
    assert read_out(Readout(tie="highest"), spikes([0, 0])).winner.item() == 0
    assert read_out(Readout(), spikes([2**17])).averages.max() == 2**16 - 1


def test_a_program_with_a_readout_survives_the_file_and_reaches_the_chip() -> None:
    import samna_standin

    program = lowered().with_readout(Readout(threshold=3, window=16, mode=1))
    tensors, data = program.to_tensors()
    again = from_tensors(tensors, json.loads(json.dumps(data)))
    assert again.readout == program.readout
    chip = samna_standin.SpeckConfiguration()
    setup.apply(chip, build_config(again, dict(zip(again.layer_names, (0, 3), strict=True)), "speck2f"))
    fields = chip.readout.fields()
    assert fields["threshold"] == 3
    assert fields["low_pass_filter_disable"] is False
    assert fields["low_pass_filter32_not16"] is False
    assert chip.cnn_layers[3].destinations[0].layer == 12


def test_refusals() -> None:
    with pytest.raises(UnsupportedError, match="at most 15 neurons"):
        lowered(16).with_readout(Readout())
    wide = get("speck2f").lower(from_sinabs(nn.Sequential(*list(module())[:2]), (2, 8, 8)))
    assert isinstance(wide, DynapcnnProgram)
    with pytest.raises(UnsupportedError, match=r"has 3x3 pixels: .* which pixel is which class is not public"):
        wide.with_readout(Readout())
    with pytest.raises(InputError, match="16 classes: it has 15"):
        read_out(Readout(), np.zeros((1, 1, 16), np.int64))
    for wrong in ({"threshold": -1}, {"window": 8}, {"mode": 4}, {"selected": 16}, {"tie": "first"}):
        with pytest.raises(InputError, match="readout"):
            Readout(**wrong)
    assert replace(Readout(), threshold=1).threshold == 1
