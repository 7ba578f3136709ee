"""Every field of our configuration reaches samna's object, is a published one, and equals what Sinabs writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import samna_fields
import samna_standin
import torch
from sinabs_networks import conv, linear, neurons, oracle
from tiny_programs import tiny_program
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter, Readout
from i2e_deploy.chips.dynapcnn.targets.board import setup
from i2e_deploy.chips.dynapcnn.targets.board.on_camera import on_camera
from i2e_deploy.errors import CheckFailed, UnsupportedError
from i2e_deploy.network import Sensor, from_sinabs

#: What no layer, sensor or monitor of Sinabs writes; the reasons stand in `config`.
OURS_ALONE = {
    "cnn_layers[].input_congestion_balancer_enable", "cnn_layers[].leak_internal_slow_clk_enable",
    "cnn_layers[].output_decimator_enable", "dvs_layer.on_channel", "dvs_layer.off_channel", "dvs_filter.enable",
    "dvs_layer.raw_monitor_enable", "dvs_layer.monitor_enable", "readout.enable",
}  # fmt: skip


def everything() -> dict[str, Any]:
    """The configuration of a program that uses every section: sensor, filter, readout, decimator, shift, monitors."""
    program = on_camera(tiny_program((2, 32, 32)))
    first, last = program.layers
    twin = replace(first, name="twin", sources=(Source("conv", (1, 1), 0),), weight=first.weight[:, :1].repeat(3, 1))
    wide = replace(last, sources=(Source("conv", (2, 2)), Source("twin", (2, 2), 3)), input_shape=(6, 16, 16))
    layers = (replace(first, decimation=4), twin, replace(wide, weight=last.weight.repeat(2, 1)))
    program = replace(program, layers=layers, event_filter=EventFilter("noise", (3, 5), 2))
    program = program.with_readout(Readout(threshold=3, window=16, mode=2, selected=1, override=True))
    cores = {"conv": 0, "twin": 1, "readout": 3}
    return json.loads(json.dumps(build_config(program, cores, "speck2f", ["input", "conv"])))  # type: ignore[no-any-return]


def test_every_field_is_set_as_it_stands() -> None:
    data = everything()
    chip = samna_fields.configuration()
    setup.apply(chip, data)
    sections = {name: data[name] for name in ("dvs_layer", "dvs_filter", "readout", "factory_config")}
    wanted = samna_fields.flatten(sections)
    for core, fields in data["cnn_layers"].items():
        wanted |= samna_fields.flatten(fields, f"cnn_layers[{core}].")
    got = chip.flat()
    assert got.keys() == wanted.keys()
    for path, value in wanted.items():
        if not path.endswith("neurons_initial_value"):  # 0 stands for zeros of the layer's shape
            assert got[path] == value, path
    assert len(got["cnn_layers[3].neurons_initial_value"]) == 13
    assert got["cnn_layers[1].destinations[0].feature_shift"] == 3
    assert (got["cnn_layers[0].output_decimator_interval"], got["readout.output_neuron_num"]) == (1, 1)


def test_every_published_field_of_the_simulated_parts_is_written() -> None:
    """A chip's defaults are not public, so nothing that the simulation depends on is left to them."""
    written = {
        path.replace("[0]", "[]") for path in samna_fields.flatten({"cnn_layers[0]": everything()["cnn_layers"]["0"]})
    }
    assert {f"cnn_layers[].{name}" for name in samna_fields.CORE} <= written
    data = everything()
    for section, fields in (
        ("dvs_layer", samna_fields.DVS_LAYER),
        ("dvs_filter", samna_fields.DVS_FILTER),
        ("readout", samna_fields.READOUT),
    ):
        assert set(fields) <= set(data[section])


@pytest.mark.filterwarnings("ignore:.*has pooling and is being monitored")  # spikes come as they leave the neurons
@pytest.mark.parametrize(
    ("dvs", "monitor"), [(False, []), (False, [0, 1]), (True, []), (True, ["dvs"]), (True, ["dvs", 0]), (True, [0, 1])]
)
def test_all_that_sinabs_writes_we_write_and_nothing_unforeseen(dvs: bool, monitor: list[Any]) -> None:
    """The whole object, monitors included, live; `monitor_layers` counts Sinabs' layers."""
    samna_standin.install()
    from sinabs.backend.dynapcnn.dvs_layer import DVSLayer

    g = torch.Generator().manual_seed(1)
    front = [DVSLayer(input_shape=(16, 16), pool=(2, 2), flip_x=True, disable_pixel_array=False)] if dvs else []
    made = nn.Sequential(
        *front, conv(g, 2, 4, 3, bias=True), neurons(), nn.AvgPool2d(2), nn.Flatten(), linear(g, 36, 5), neurons()
    )
    shape = (2, 16, 16) if dvs else (2, 8, 8)
    network = oracle(made, shape)
    indices = sorted(network.dynapcnn_layers)
    cores = dict(zip(indices, (2, 5), strict=True))
    wanted = [name if name == "dvs" else indices[name] for name in monitor]
    theirs = network.make_config(layer2core_map=cores, device="speck2fmodule", monitor_layers=wanted or None)
    program = get("speck2f").lower(from_sinabs(made, shape))
    assert isinstance(program, DynapcnnProgram)
    names = [("input" if name == "dvs" else program.layer_names[name]) for name in monitor] or None
    ours = samna_standin.SpeckConfiguration()
    setup.apply(ours, build_config(program, dict(zip(program.layer_names, (2, 5), strict=True)), "speck2f", names))
    for core in range(9):
        assert_covers(ours.cnn_layers[core].fields(), theirs.cnn_layers[core].fields(), "cnn_layers[].")
    for section in ("dvs_layer", "dvs_filter", "readout", "factory_config"):
        assert_covers(getattr(ours, section).fields(), getattr(theirs, section).fields(), f"{section}.")


def assert_covers(ours: dict[str, Any], theirs: dict[str, Any], prefix: str) -> None:
    for name, value in theirs.items():
        plain = bool(value) if isinstance(value, torch.Tensor) else value  # Sinabs' `leak_enable`
        assert ours.get(name, False) == plain, prefix + name
    assert {prefix + name for name in ours.keys() - theirs.keys()} <= OURS_ALONE


def test_a_field_that_this_samna_lacks_is_named() -> None:
    chip: Any = samna_fields.configuration()
    data = everything()
    object.__setattr__(chip.dvs_layer, "_fields", ("merge",))
    with pytest.raises(CheckFailed, match=r"does not take configuration\.dvs_layer.*no attribute.*is this samna 0\.46"):
        setup.apply(chip, data)


def test_what_the_destinations_of_the_camera_have_no_field_for() -> None:
    program = tiny_program((2, 16, 16))
    first, last = program.layers
    pooled = replace(first, sources=(Source("input", (2, 2)),), input_shape=(2, 8, 8), output_shape=(3, 8, 8))
    behind = replace(program, layers=(pooled, replace(last, weight=last.weight[:, :, :4, :4])), sensor=Sensor())
    with pytest.raises(UnsupportedError, match="the chip has no field for that; pool in the Sensor layer"):
        build_config(behind, {"conv": 0, "readout": 1}, "speck2f")
