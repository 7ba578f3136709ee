"""A small netx file to change: a convolution on (2, 8, 8), flatten, a dense layer."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

#: What frames it takes; the file does not say it.
INPUT_SHAPE = (2, 8, 8)


def small_file(path: Path) -> None:
    with h5py.File(path, "w") as file:
        conv = add_layer(file, 0, "conv", (4, 4, 4))
        conv["weight"] = np.full((4, 2, 3, 3), 4.0, np.float32)
        conv["groups"], conv["stride"] = 1, np.array([2, 2])
        conv["padding"], conv["dilation"] = np.array([1, 1]), np.array([1, 1])
        add_layer(file, 1, "flatten", (64, 1, 1), neuron=False)
        dense = add_layer(file, 2, "dense", (5,))
        dense["weight"] = np.arange(5 * 64, dtype=np.float32).reshape(5, 64) - 160


def add_layer(file: h5py.File, index: int, kind: str, shape: tuple[int, ...], neuron: bool = True) -> h5py.Group:
    made = file.create_group(f"layer/{index}")
    made.create_dataset("type", (1,), "S10", [kind.encode()])
    made["shape"] = np.array(shape)
    if neuron:
        for key, value in {"type": b"CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80}.items():
            made[f"neuron/{key}"] = value
    return made
