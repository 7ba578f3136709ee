"""Every kind of layer and neuron that SLAYER exports: taken exactly, noted, or refused with the layer and the reason.

Taken exactly and shown elsewhere: CUBA, SDNN, RF, dense, convolution, feedback, delays, decays a channel
(test_lava_live: Lava; test_slayer: SLAYER), pooling, sums and branches (test_slayer).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from children import needs_lava
from netx_files import INPUT_SHAPE, add_layer, small_file

from i2e_deploy.chips import get
from i2e_deploy.chips.loihi2 import BlockNetwork, from_slayer, read_netx
from i2e_deploy.chips.loihi2.formats.netx_export import export_netx
from i2e_deploy.chips.loihi2.program import ConvSynapse, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.lava_shim import import_lava


def put(path: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if path in file:
            del file[path]
        file[path] = value

    return change


def changed(tmp_path: Path, *changes: Callable[[h5py.File], None]) -> BlockNetwork:
    path = tmp_path / "changed.net"
    small_file(path)
    with h5py.File(path, "r+") as file:
        for change in changes:
            change(file)
    return read_netx(path, INPUT_SHAPE)


def _sdnn(activation: bytes) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        put("layer/2/neuron/type", b"SDNN")(file)
        put("layer/2/neuron/activation", activation)(file)

    return change


def _resonator(file: h5py.File) -> None:
    put("layer/2/neuron/type", b"RF_PHASE")(file)
    put("layer/2/neuron/sinDecay", 100)(file)
    put("layer/2/neuron/cosDecay", 4000)(file)


def _recurrent_delays(file: h5py.File) -> None:
    put("layer/2/type", b"dense_rec")(file)
    put("layer/2/weight_rec", np.full((5, 5), 2.0))(file)
    put("layer/2/delay", np.arange(5))(file)


def _complex(layer: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        weight = np.array(file[f"layer/{layer}/weight"])
        del file[f"layer/{layer}/weight"]
        file[f"layer/{layer}/weight/real"], file[f"layer/{layer}/weight/imag"] = weight, weight

    return change


REFUSED: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "ALIF": (put("layer/2/neuron/type", b"ALIF"), "ALIF"),
    "ADRF": (put("layer/2/neuron/type", b"ADRF_PHASE"), "drops the adaptation"),
    "ADRF_IZ": (put("layer/2/neuron/type", b"ADRF_IZHIKEVICH"), "drops the adaptation"),
    "unknown neurons": (put("layer/2/neuron/type", b"HH"), "known are CUBA"),
    "resonators without an imaginary part": (_resonator, "weight/imag"),
    "graded CUBA": (put("layer/2/neuron/gradedSpike", True), "binary"),
    "transposed convolution": (put("layer/2/type", b"convT"), "transposed convolution"),
    "unpooling": (put("layer/2/type", b"unpool"), "unpooling"),
    "concatenation": (put("layer/2/type", b"concat"), "concatenation"),
    "complex dense by its other name": (put("layer/2/type", b"dense_comp"), "does not exist"),
    "average in the middle": (put("layer/1/type", b"average"), "only the host"),
    "unknown": (put("layer/2/type", b"attention"), "unknown type"),
    "a norm's exponent that leaves the integers": (put("layer/2/neuron/weight_exp", 3.0), "WgtScaleBatchNorm"),
    "another activation": (_sdnn(b"tanh"), "rectifies"),
    "feedback with delays": (_recurrent_delays, "nothing exact to map to"),
    "complex weights on real neurons": (_complex(2), "no imaginary input"),
    "complex convolution": (_complex(0), "real convolution"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_layer_and_the_reason(case: str, tmp_path: Path) -> None:
    change, text = REFUSED[case]
    with pytest.raises(UnsupportedError, match=f"layer [012] .*({text})"):
        changed(tmp_path, change)


def test_all_refusals_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"layer 1 \(average\).* \| layer 2 \(dense\): ALIF"):
        changed(tmp_path, REFUSED["average in the middle"][0], REFUSED["ALIF"][0])


def notes(network: BlockNetwork) -> str:
    return " | ".join(f"{note.layer}: {note.text}" for note in network.notes)


def test_delays_of_a_convolution_act_and_no_file_carries_them(tmp_path: Path) -> None:
    """netx ignores them: the note says so, `check` warns, the export refuses."""
    network = changed(tmp_path, put("layer/0/delay", np.array([0, 3, 1, 0])))
    synapse = network.blocks[0].connections[0].synapse
    assert isinstance(synapse, ConvSynapse)
    assert synapse.delay is not None
    assert synapse.delay.tolist() == [0, 3, 1, 0]
    assert "netx ignores them" in notes(network)
    assert any(f.rule == "Lava delay" and f.severity == "warning" for f in get("loihi2").check(network).findings)
    with pytest.raises(UnsupportedError, match="delays on a convolution"):
        export_netx(network, tmp_path / "out.net")


def test_a_norms_exponent_is_folded_into_the_weights(tmp_path: Path) -> None:
    """Exact: 4 / 2^1 and 4 * 2^3 are integers; netx would use 4."""
    for exponent, weight in ((1.0, 2), (-3.0, 32)):
        network = changed(tmp_path, put("layer/0/neuron/weight_exp", exponent), put("layer/0/neuron/iDecay", 4096))
        assert (network.blocks[0].connections[0].synapse.weight == weight).all()  # type: ignore[union-attr]


def test_an_average_at_the_end_is_the_hosts(tmp_path: Path) -> None:
    network = changed(tmp_path, lambda file: add_layer(file, 3, "average", (5, 1, 1), neuron=False) and None)
    assert len(network.blocks) == 2
    assert "3.average: the host averages" in notes(network)


def test_weight_and_bias_of_an_input_layer_are_reported_not_applied(tmp_path: Path) -> None:
    path = tmp_path / "input.net"
    with h5py.File(path, "w") as file:
        first = add_layer(file, 0, "input", (6,))
        first["weight"], first["bias"] = np.float32(128), np.float32(-32)
        add_layer(file, 1, "dense", (3,))["weight"] = np.full((3, 6), 4.0)
    network = read_netx(path)
    assert network.input_transform == (128, -32)
    (finding,) = (f for f in get("loihi2").check(network).findings if f.rule == "input transform")
    assert "x * 128 + -32" in str(finding)


def test_pooling_is_a_convolution_of_one_group_a_channel(tmp_path: Path) -> None:
    def pool(file: h5py.File) -> None:
        del file["layer/1"], file["layer/2"]
        add_layer(file, 1, "pool", (4, 2, 2))["weight"] = np.full((1, 1, 2, 2), 64.0)
        file["layer/1/stride"] = np.array([2, 2])

    network = changed(tmp_path, pool)
    synapse = network.blocks[1].connections[0].synapse
    assert isinstance(synapse, ConvSynapse)
    assert (synapse.groups, synapse.weight.shape) == (4, (4, 1, 2, 2))
    export_netx(network, tmp_path / "pooled.net")
    frames = (np.random.default_rng(0).random((1, 12, *INPUT_SHAPE)) < 0.5).astype(np.uint8)
    again = LoihiProgram(read_netx(tmp_path / "pooled.net")).run(frames, "lava")
    assert np.array_equal(again.output, LoihiProgram(network).run(frames).output)
    assert again.output.any()


def test_a_dense_layer_without_neurons_integrates(tmp_path: Path) -> None:
    network = changed(tmp_path, lambda file: file.__delitem__("layer/2/neuron"))
    neuron = network.blocks[-1].neuron
    assert isinstance(neuron, CubaLif)
    assert (neuron.threshold, int(neuron.current_decay[0]), int(neuron.voltage_decay[0])) == (2**17, 0, 4096)
    assert "never fire" in notes(network)


@needs_lava
def test_slayer_modules_that_cannot_run_are_refused() -> None:
    import_lava()
    block = import_module("lava.lib.dl.slayer").block
    neuron = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.1}

    class Joined(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = block.cuba.Dense(neuron, 4, 4)
            self.b = block.cuba.Dense(neuron, 8, 2)

        def forward(self, x: Any) -> Any:
            return self.b(torch.cat([self.a(x), x], dim=1))

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = block.cuba.Dense(neuron, 4, 4)

        def forward(self, x: Any) -> Any:
            return self.a(self.a(x))

    def used(module: Any) -> Any:
        module(torch.zeros(1, 4, 3))
        return module

    graded = {**neuron, "graded_spike": True}
    adaptive = {**neuron, "threshold_decay": 0.1, "refractory_decay": 0.1, "threshold_step": 0.1}
    cases: list[tuple[Any, str]] = [
        (used(Joined()), "cat"),
        (used(Twice()), "used twice"),
        ([used(block.cuba.Dense(graded, 4, 2))], "graded CUBA"),
        ([used(torch.nn.Conv1d(4, 2, 1))], "not a SLAYER block"),
        ([used(block.alif.Dense(adaptive, 4, 2))], "ALIF"),
    ]
    for module, text in cases:
        with pytest.raises(UnsupportedError, match=text):
            from_slayer(module)


@needs_lava
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_slayer_module_is_not_changed_by_reading_it() -> None:
    import_lava()
    block = import_module("lava.lib.dl.slayer").block
    dense = block.cuba.Dense({"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.1}, 4, 2, weight_norm=True)
    dense.train()(torch.zeros(1, 4, 3))
    before = {name: value.clone() for name, value in dense.state_dict().items()}
    synapse = from_slayer([dense]).blocks[0].connections[0].synapse
    assert isinstance(synapse, DenseSynapse)
    assert dense.training
    assert dense.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in dense.state_dict().items())
