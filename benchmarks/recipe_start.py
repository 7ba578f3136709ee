"""What the start of a recipe's weights is worth: outputs balanced or as drawn, with a gradient everywhere or not.

    python shapes.py    # the block of docs/tutorials/own_pictures.md: 300 pictures of five shapes
    python benchmarks/recipe_start.py photos > benchmarks/results/recipe_start.txt

PHOTOS holds <class>/<picture>. The recipe `small` of Speck2f, few epochs in large batches, so that an output that falls
silent stays so; a fifth of the pictures is the test part, the last epoch counts, on the chip's integers.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from rows import machine

from i2e_deploy.conversion import PRESETS
from i2e_deploy.text import aligned
from i2e_deploy.training import planned_sinabs, start_active
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.loop import fit, on_all
from i2e_deploy.training.recipes import sized_recipe
from i2e_deploy.training.samples import TrainingData

#: Name of a start, whether outputs are balanced, and the window of their surrogate gradient.
STARTS = (
    ("scaled layer by layer alone", False, 1.0),
    ("outputs balanced", True, 1.0),
    ("a gradient down to the lower bound", False, planned_sinabs.OUTPUT_WINDOW),
    ("both", True, planned_sinabs.OUTPUT_WINDOW),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    options = DataOptions(size=32, sensor=PRESETS["dvs128"], moving_eye=True, augmentation=Augmentation(shift=2))
    rows = [("start", *(f"seed {seed}" for seed in range(given.seeds)), "mean", "never decided, by seed")]
    for name, balanced, window in STARTS:
        found = [trained(open_data(given.photos, replace(options, seed=seed)), seed, given.epochs, balanced, window)
                 for seed in range(given.seeds)]  # fmt: skip
        shares = [share for share, _ in found]
        never = ", ".join(str(silent) for _, silent in found)
        rows.append((name, *(f"{share:.1%}" for share in shares), f"{np.mean(shares):.1%}", never))
    print(f"test pictures that the integers decide rightly, after {given.epochs} epochs in batches of 50")
    print(aligned(rows, right=range(1, given.seeds + 3)))


def trained(data: TrainingData, seed: int, epochs: int, balanced: bool, window: float) -> tuple[float, int]:
    """Accuracy on the test part, and classes that are never decided."""
    with (
        patch.object(planned_sinabs, "OUTPUT_WINDOW", window),
        patch.object(start_active, "_balance", start_active._balance if balanced else lambda *_: None),
    ):
        recipe = sized_recipe("speck2f", "small", data, seed)
    config = replace(recipe.config, epochs=epochs, batch_size=50)
    for _ in fit(recipe.network, data, config, running=recipe.running):
        pass
    judged = on_all(recipe.network, recipe.running, data, config)
    confusion = judged.confusion(len(data.classes))
    return float(np.trace(confusion) / confusion.sum()), int((confusion.sum(axis=0) == 0).sum())


if __name__ == "__main__":
    main()
