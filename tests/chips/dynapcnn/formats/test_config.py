"""Our JSON configuration equals, field by field, what Sinabs writes for the same network."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import samna_standin
import torch
from dynapcnn_programs import single_core
from sinabs_networks import conv, linear, neurons, oracle
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import Source
from i2e_deploy.chips.dynapcnn.formats.config import DECIMATION, build_config
from i2e_deploy.chips.dynapcnn.runnable import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.targets.board import setup
from i2e_deploy.errors import CheckFailed, FileFormatError, UnsupportedError
from i2e_deploy.network import from_sinabs

CORES = (0, 3, 5)


def network(seed: int) -> nn.Sequential:
    from sinabs.activation import MembraneReset

    g = torch.Generator().manual_seed(seed)
    return nn.Sequential(
        conv(g, 2, 4, 3, stride=(2, 1), padding=(1, 0)), neurons(), nn.AvgPool2d(2),
        conv(g, 4, 6, 2, stride=(1, 2), padding=(1, 2), bias=True),
        neurons(reset_fn=MembraneReset(), min_v_mem=-2.0),
        nn.Flatten(), linear(g, 6 * 5 * 5, 5), neurons(spike_threshold=torch.tensor(0.5)),
    )  # fmt: skip


SHAPE = (2, 16, 14)


def lowered(module: nn.Module) -> DynapcnnProgram:
    program = get("speck2f").lower(from_sinabs(module, SHAPE))
    assert isinstance(program, DynapcnnProgram)
    return program


def plain(value: object) -> object:
    """Sinabs writes a 0-dim tensor for `leak_enable`."""
    return bool(value) if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("seed", range(3))
def test_configuration_equals_what_sinabs_writes(seed: int) -> None:
    module = network(seed)
    program = lowered(module)
    sinabs = oracle(module, SHAPE).make_config(layer2core_map=dict(enumerate(CORES)), device="speck2fmodule")
    cores = dict(zip(program.layer_names, CORES, strict=True))
    data = json.loads(json.dumps(build_config(program, cores, "speck2f")))
    ours = samna_standin.SpeckConfiguration()
    setup.apply(ours, data)
    for core in range(9):
        theirs, mine = sinabs.cnn_layers[core].fields(), ours.cnn_layers[core].fields()
        for name, value in theirs.items():
            assert mine[name] == plain(value), (core, name)
    assert sinabs.dvs_layer.pass_sensor_events == ours.dvs_layer.pass_sensor_events


def test_weights_stand_in_the_order_of_the_chip() -> None:
    program = lowered(network(0))
    layer = program.layers[0]
    weights = build_config(program, dict(zip(program.layer_names, CORES, strict=True)), "speck2f")["cnn_layers"]["0"]
    assert weights["weights"][3][1][2][0] == layer.weight[3, 1, 0, 2]  # [f][c][x][y]


def test_a_branch_has_two_destinations_with_their_own_pooling() -> None:
    program = lowered(network(0))
    first, second, _ = program.layers
    twin = replace(
        second, name="twin", sources=(Source(first.name, (2, 2), 3),), input_shape=(7, *second.input_shape[1:])
    )
    branched = replace(program, layers=(*program.layers, twin))
    cores = dict(zip(branched.layer_names, (*CORES, 8), strict=True))
    data = build_config(branched, cores, "speck2f", monitor=["twin"])
    assert data["cnn_layers"]["0"]["destinations"] == [
        {"layer": 3, "enable": True, "pooling": 2},
        {"layer": 8, "enable": True, "pooling": 2, "feature_shift": 3},
    ]
    assert [core for core, row in data["cnn_layers"].items() if row["monitor_enable"]] == ["8"]


@pytest.mark.parametrize(("decimation", "code"), DECIMATION.items())
def test_decimator_has_a_code(decimation: int, code: int) -> None:
    program = single_core(decimation=decimation)
    row = build_config(program, {"core": 0}, "speck2f")["cnn_layers"]["0"]
    assert (row["output_decimator_enable"], row["output_decimator_interval"]) == (True, code)


def test_what_the_chip_has_no_field_for_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="'core': decimation 64; choose one of 2, 4, 8"):
        build_config(single_core(decimation=64), {"core": 0}, "speck2f")
    flat = single_core(weight=np.ones((1, 1, 1, 2), np.int8), input_shape=(1, 1, 2))
    with pytest.raises(UnsupportedError, match="'core': the kernel is 1x2"):
        build_config(flat, {"core": 0}, "speck2f")
    pooled = single_core(sources=(Source("input", (1, 2)),))
    with pytest.raises(UnsupportedError, match=r"'core': pooling \(1, 2\) before it is not square"):
        build_config(pooled, {"core": 0}, "speck2f")


def test_apply_and_validate_refuse() -> None:
    configuration = samna_standin.SpeckConfiguration()
    with pytest.raises(FileFormatError, match="format None version None"):
        setup.apply(configuration, {})

    class Refusing:
        @staticmethod
        def validate_configuration(_: object) -> tuple[bool, str]:
            return False, "core 3: too many weights"

    with pytest.raises(CheckFailed, match="core 3: too many weights"):
        setup.validate(Refusing, configuration)
