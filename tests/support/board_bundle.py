"""The network of `examples/hil_fake_board.py` as a bundle for Speck2f, for tests of commands on a fake board."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

from i2e_deploy import bundle as bundles
from i2e_deploy.chips import get

EXAMPLE = Path(__file__).parents[2] / "examples" / "hil_fake_board.py"


def write_small_bundle(folder: Path, size: int = 8) -> Path:
    """`folder`/bundle, 2 x size x size pixels and four outputs, with three golden samples of four steps."""
    random = np.random.default_rng(0)
    network = runpy.run_path(str(EXAMPLE))["make_network"](random, size)
    golden = random.integers(0, 2, (3, 4, 2, size, size)).astype(np.int32)
    bundles.write(folder / "bundle", get("speck2f"), network, golden)
    return folder / "bundle"
