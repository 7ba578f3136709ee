"""What the calibrated lowering saves: the demo's network with lower bounds that take the weights' bits.

    python benchmarks/calibration.py DEMO_OUTPUT [--digits N]

A far bound changes little in the float network and takes bits from Sinabs' one scale. Both lowerings, on the demo's
test digits: bits that the weights keep, correct decisions (95 % interval) in time steps and as events in spread order.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from event_tasks import Frames, to_frames
from nmnist import CALIBRATION, CHIP, Labels

from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.lowering.calibrate import effective_bits
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.datasets.picture import resize
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import IntegrateAndFire, Network
from i2e_deploy.network.file import read_network
from i2e_deploy.runtime import wilson
from i2e_deploy.training.digits import SIZE

BOUNDS: tuple[float | None, ...] = (-1.0, -100.0, -400.0, -2000.0, None)


def bounded(network: Network, min_v: float | None) -> Network:
    """The network with another lower bound in every layer."""
    layers = [
        replace(layer, op=replace(layer.op, min_v=min_v)) if isinstance(layer.op, IntegrateAndFire) else layer
        for layer in network.layers
    ]
    return replace(network, layers=tuple(layers))


def row(name: str, program: DynapcnnProgram, frames: Frames, labels: Labels) -> str:
    """Bits by layer and correct decisions."""
    cells = []
    for semantics in ("timestep", "event"):
        right = int((program.run(frames, semantics).decisions() == labels).sum())
        low, high = wilson(right, len(labels))
        cells.append(f"{right / len(labels):.1%} ({100 * low:.1f} to {100 * high:.1f})")
    bits = " ".join(f"{effective_bits(layer):.1f}" for layer in program.layers)
    return f"{name:24}{bits:24}{cells[0]:24}{cells[1]}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="what `i2e-deploy demo` wrote")
    parser.add_argument("--digits", type=int, default=1000)
    arguments = parser.parse_args()
    train, test = load_mnist5k(0)
    few = to_frames(resize(train.images[:CALIBRATION], SIZE))
    frames, labels = to_frames(resize(test.images[: arguments.digits], SIZE)), test.labels[: arguments.digits]
    network = read_network(arguments.demo / "network.safetensors")
    assert isinstance(network, Network)
    print(f"{'bound, lowering':24}{'effective bits':24}{'timestep':24}event, spread")
    for min_v in BOUNDS:
        changed = bounded(network, min_v)
        try:
            print(row(f"{min_v}, compatible", CHIP.lower(changed), frames, labels))
        except UnsupportedError as error:
            print(f"{f'{min_v}, compatible':24}refused: {str(error).split(';')[0]}")
        print(row(f"{min_v}, calibrated", CHIP.lower(changed, LowerOptions(few)), frames, labels), flush=True)


if __name__ == "__main__":
    main()
