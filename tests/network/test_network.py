"""The float network: importing, shapes, refusals, and the file format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sinabs.layers as sl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_case, single_neuron
from safetensors.numpy import load_file, save_file
from torch import nn

from i2e_deploy.chips import AnyNetwork
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.files import METADATA_KEY, read_tensors
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Layer, Linear, Network, Pool2d, chain, from_sinabs
from i2e_deploy.network.file import read_network, write_network


def assert_same(one: AnyNetwork, other: AnyNetwork) -> None:
    assert isinstance(one, Network)
    assert isinstance(other, Network)
    assert one.input_shape == other.input_shape
    for a, b in zip(one.layers, other.layers, strict=True):
        assert (a.name, a.inputs, type(a.op)) == (b.name, b.inputs, type(b.op))
        for key, value in vars(a.op).items():
            twin = getattr(b.op, key)
            assert np.array_equal(value, twin) if isinstance(value, np.ndarray) else value == twin


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_network_survives_the_file(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    case = random_case(np.random.default_rng(seed))
    network = from_sinabs(case.module(1), case.input_shape)
    path = tmp_path_factory.getbasetemp() / "network.safetensors"
    write_network(network, path, {"seed": str(seed)})
    assert_same(read_network(path), network)
    assert not list(path.parent.glob(".network*"))


def test_nested_sequentials_and_ignored_modules() -> None:
    block = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Dropout(0.5), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0))
    network = from_sinabs(nn.Sequential(block, nn.Identity(), nn.AvgPool2d(2)), (2, 10, 10))
    assert [layer.name for layer in network.layers] == ["0.0", "0.2", "2"]
    assert network.shapes()["2"] == (4, 4, 4)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.ReLU(), "'1' is a ReLU"),
        (nn.MaxPool2d(2, dilation=2), "dilat"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "reflect"),
        (nn.AvgPool2d(3, stride=2, ceil_mode=True), "ceil_mode"),
        (sl.IAFSqueeze(batch_size=1, spike_threshold=torch.ones(2)), "2 thresholds"),
        (type("Silent", (nn.Conv2d,), {"forward": lambda self, x: 0 * x})(2, 2, 1), "'1' is a Silent"),
        (sl.ExpLeakSqueeze(batch_size=1, tau_mem=10.0, min_v_mem=-1.0), "min_v_mem"),
    ],
)
def test_modules_without_a_counterpart_are_refused_by_name(module: nn.Module, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        from_sinabs(nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), module), (2, 8, 8))


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="takes 3 channels and is given 2"):
        chain((2, 8, 8), {"conv": Conv2d(np.ones((1, 3, 1, 1), np.float32))})
    with pytest.raises(InputError, match="put a Flatten before it"):
        chain((2, 8, 8), {"end": Linear(np.ones((1, 128), np.float32))})
    with pytest.raises(InputError, match="leaves nothing"):
        chain((2, 2, 2), {"conv": Conv2d(np.ones((1, 2, 3, 3), np.float32))})
    with pytest.raises(InputError, match="is in the network twice"):
        Network((2, 2, 2), (Layer("a", Flatten(), ("input",)), Layer("a", Flatten(), ("a",))))
    with pytest.raises(InputError, match="no such layer"):
        Network((2, 2, 2), (Layer("a", Flatten(), ("b",)),))


@pytest.mark.parametrize(
    "make",
    [
        lambda: IntegrateAndFire(threshold=0),
        lambda: IntegrateAndFire(threshold=float("nan")),
        lambda: IntegrateAndFire(min_v=0.5),
        lambda: IntegrateAndFire(max_spikes=0),
        lambda: IntegrateAndFire(max_spikes=2**31),
        lambda: Conv2d(np.ones((1, 1, 1, 1), np.float32), stride=(True, 1)),
        lambda: Pool2d((0, 2)),
        lambda: Conv2d(np.ones((1, 1, 1, 1), np.float64)),
        lambda: Conv2d(np.ones((1, 1, 1, 1), np.float32), stride=(0, 1)),
        lambda: Conv2d(np.ones((3, 1, 1, 1), np.float32), groups=2),
        lambda: Conv2d(np.full((1, 1, 1, 1), np.nan, np.float32)),
        lambda: Linear(np.ones((2, 3), np.float32), np.ones(3, np.float32)),
    ],
)
def test_records_refuse_values_that_mean_nothing(make: Any) -> None:
    with pytest.raises(InputError):
        make()


def attack(path: Path, change: Any) -> None:
    """Rewrite a network file with a changed graph."""
    write_network(single_neuron(1.0, 1.0), path)
    tensors = load_file(path)
    metadata = read_tensors(path)[1]
    change(metadata["network"], metadata, tensors)
    save_file(tensors, path, {METADATA_KEY: metadata.get("raw", json.dumps(metadata))})


@pytest.mark.parametrize(
    "change",
    [
        lambda g, m, t: m.update(format="other"),
        lambda g, m, t: m.update(version=2),
        lambda g, m, t: m.update(raw="{"),
        lambda g, m, t: m.update(raw="[" * 100_000),
        lambda g, m, t: g.pop("layers"),
        lambda g, m, t: g["layers"][0].update(op="eval"),
        lambda g, m, t: g["layers"][0].update(op="object"),
        lambda g, m, t: g["layers"][0]["options"].update(stride="ab"),
        lambda g, m, t: g["layers"][0]["options"].update(stride=[0, 0]),
        lambda g, m, t: g["layers"][0]["options"].update(unknown=1),
        lambda g, m, t: g["layers"][0].update(inputs=["neuron"]),
        lambda g, m, t: g.update(input_shape=["a", 1, 1]),
        lambda g, m, t: g.update(input_shape=[1, 1]),
        lambda g, m, t: g.update(input_shape=[float("inf"), 1, 1]),
        lambda g, m, t: g.update(input_shape=[1, 400_000, 400_000]),
        lambda g, m, t: g["layers"][0]["options"].update(padding=[200_000, 200_000]),
        lambda g, m, t: g["layers"][0].update(name="input"),
        lambda g, m, t: g["layers"][1]["options"].update(threshold=1e300),
        lambda g, m, t: g["layers"][1]["options"].update(threshold=10**400),
        lambda g, m, t: g["layers"][1]["options"].update(min_v=-1e300),
        lambda g, m, t: g["layers"][1]["options"].update(threshold="1"),
        lambda g, m, t: t.pop("conv.weight"),
        lambda g, m, t: t.update({"conv.weight": np.ones((1, 1), np.float32)}),
        lambda g, m, t: t.update({"conv.weight": np.ones((1, 1, 1, 1), np.int8)}),
    ],
)
def test_hostile_network_files_end_in_one_error(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "bad.safetensors"
    attack(path, change)
    with pytest.raises(FileFormatError, match=r"bad\.safetensors"):
        read_network(path)


def test_damaged_and_absent_files(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    with pytest.raises(InputError, match="no such file"):
        read_network(path)
    write_network(single_neuron(1.0, 1.0), path)
    whole = path.read_bytes()
    for size in (0, 4, 20, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(FileFormatError, match="not a whole"):
            read_network(path)
    path.write_bytes((2**62).to_bytes(8, "little") + whole[8:])
    with pytest.raises(FileFormatError, match="not a whole"):
        read_network(path)
