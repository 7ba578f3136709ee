"""Networks of safetensors, NIR and netx, and recorded data of NIR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fuzz_kind import Kind
from fuzz_seeds import small_network


def networks(folder: Path) -> list[Kind]:
    """A kind for each."""
    from i2e_deploy import hdf5_child
    from i2e_deploy.chips import read_model
    from i2e_deploy.network import write_nir
    from i2e_deploy.network.file import write_network
    from i2e_deploy.network.nir.data import read_nir_data

    hdf5_child.LEAST = 1.0  # what hangs costs its limit

    def model(path: Path) -> str:
        read_model(path, (2, 8, 8) if path.suffix == ".net" else None)
        return "read"

    def data(path: Path) -> str:
        read_nir_data(path, 1.0)
        return "read"

    write_network(small_network(), folder / "n.safetensors")
    write_nir(small_network(), folder / "n.nir")
    _netx(folder / "n.net")
    _nir_data(folder / "d.nir")
    return [
        Kind(f"network {name}", "networks", suffix, ((folder / file).read_bytes(),), read)
        for name, suffix, file, read in (
            ("safetensors", ".safetensors", "n.safetensors", model),
            ("nir", ".nir", "n.nir", model),
            ("netx", ".net", "n.net", model),
            ("nir data", ".nir", "d.nir", data),
        )
    ]


def _netx(path: Path) -> None:
    """A dense layer, as lava-dl writes it; its kind a string of variable length."""
    import h5py

    with h5py.File(path, "w") as file:
        for index, (kind, shape) in enumerate((("conv", (4, 4, 4)), ("flatten", (64, 1, 1)), ("dense", (5,)))):
            layer = file.create_group(f"layer/{index}")
            layer.create_dataset("type", (1,), "S10", [kind.encode()])
            layer["shape"] = np.array(shape)
            if kind != "flatten":
                for key, value in {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80}.items():
                    layer[f"neuron/{key}"] = value
        conv = file["layer/0"]
        conv["weight"] = np.full((4, 2, 3, 3), 4.0, np.float32)
        conv["groups"], conv["stride"] = 1, np.array([2, 2])
        conv["padding"], conv["dilation"] = np.array([1, 1]), np.array([1, 1])
        file["layer/2/weight"] = np.arange(5 * 64, dtype=np.float32).reshape(5, 64) - 160


def _nir_data(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        node = file.create_group("nodes/n")
        node.attrs["__type__"] = "NIRNodeData"
        spikes = node.create_group("observables/spikes")
        spikes.attrs["__type__"] = "EventData"
        spikes.attrs["n_neurons"], spikes.attrs["t_max"] = 3, 4.0
        spikes["idx"], spikes["time"] = np.array([[0, 1, -1]]), np.array([[0.0, 2.0, np.inf]])
