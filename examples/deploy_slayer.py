"""Train a SLAYER network on I2E digits, deploy it to Loihi 2, compare. Run: python examples/deploy_slayer.py

About three minutes on two idle cores. `--pictures 300 --epochs 1` for a look.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy import bundle, chips
from i2e_deploy.conversion import I2E
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.network import from_slayer
from i2e_deploy.training.slayer import (
    SILENCE,
    SlayerConfig,
    build_slayer_digits,
    slayer_spikes,
    train_slayer,
)


def frames_of(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures uint8 [N, 28, 28] to event frames uint8 [N, 8, 2, 32, 32]."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    frames: NDArray[np.uint8] = I2E(Fraction(1, 10)).eval()(torch.from_numpy(padded)[:, None]).to(torch.uint8).numpy()
    return frames


def main(out: Path = Path("slayer_bundle"), pictures: int = 4000, epochs: int = 4, lava: bool = True) -> None:
    """From pictures to a bundle for Loihi 2."""
    train, test = load_mnist5k()
    images = np.pad(train.images[:pictures], ((0, 0), (2, 2), (2, 2)))
    tests, labels = frames_of(test.images[:pictures]), test.labels[:pictures]
    model = build_slayer_digits(seed=0)
    config = SlayerConfig(epochs=epochs)
    for result in train_slayer(model, (images, train.labels[:pictures]), tests, labels, config):
        print(
            f"epoch {result.epoch}: loss {result.loss:.3f}, "
            f"accuracy {result.train_accuracy:.3f} (training) {result.test_accuracy:.3f} (test)"
        )

    network = from_slayer(model, input_shape=(2, 32, 32))
    chip = chips.get("loihi2")
    report = chip.check(network)
    print("fits:", report.fits, [str(f) for f in report.findings if f.severity in ("warning", "error")])
    program = chip.lower(network)
    inputs = np.pad(tests, ((0, 0), (0, SILENCE), (0, 0), (0, 0), (0, 0)))
    trace = program.run(inputs)
    spikes = slayer_spikes(model, tests)
    print(
        "accuracy SLAYER:", (spikes.sum(1).argmax(1) == labels).mean(), "engine:", (trace.decisions() == labels).mean()
    )
    print("output spikes that differ from SLAYER:", int((spikes != trace.output).sum()), "of", int(spikes.sum()))
    written = bundle.write(out, chip, network, inputs[:4], overwrite=True)
    print("golden vectors exact:", bundle.verify(written).exact)
    if lava:
        print("Lava exact:", bundle.verify(written, target="lava").exact)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("slayer_bundle"))
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--no-lava", dest="lava", action="store_false")
    arguments = parser.parse_args()
    main(arguments.out, arguments.pictures, arguments.epochs, arguments.lava)
