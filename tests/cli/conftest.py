"""A network and frames as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from i2e_deploy.network import Conv2d, IntegrateAndFire, chain
from i2e_deploy.network.file import write_network


@pytest.fixture
def network_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32)
    neuron = IntegrateAndFire(1.0, -1.0)
    write_network(chain((2, 8, 8), {"conv": Conv2d(weight, stride=(2, 2)), "neuron": neuron}), path)
    return path


@pytest.fixture
def frames_file(tmp_path: Path) -> Path:
    path = tmp_path / "frames.npy"
    np.save(path, np.random.default_rng(1).integers(0, 2, (2, 5, 2, 8, 8)).astype(np.uint8))
    return path
