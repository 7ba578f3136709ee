"""SLAYER networks on held-out digits: accuracy in SLAYER, engine, reference and Lava, outputs compared.

    python benchmarks/slayer_mnist.py --folder nets [--only conv dense] > benchmarks/results/slayer_mnist.txt

FOLDER keeps a checkpoint of each training (NAME.ckpt.safetensors): what is finished is not trained again, what was
interrupted goes on. It also gets `mnist_conv.net` and `mnist_dense.net`, netx files that say their input shape, and
`mnist_frames.npy`, uint8 [M, 8, 2, 32, 32]: what a benchmark of speed should measure.

Lava runs feed-forward networks on one stream of digits, each layer reset as a new digit reaches it (`with_reset`), the
others digit by digit from a fresh state. Accuracy needs no quiet machine; no times are printed.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.chips import Engine
from i2e_deploy.chips.loihi2 import BlockNetwork, from_slayer
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames
from i2e_deploy.chips.loihi2.formats.netx_export import export_netx
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.loihi2.targets.lava.run import run_lava
from i2e_deploy.cli.common import progress_bar
from i2e_deploy.training import FrameSamples, Loss, fit
from i2e_deploy.training.digit_data import GreyPictures, digit_data, digit_sets
from i2e_deploy.training.judging import in_float
from i2e_deploy.training.slayer import (
    SLAYER,
    SlayerNetwork,
    aligned,
    float_weights,
    program_frames,
    slayer_output,
)
from i2e_deploy.training.slayer_networks import RECIPES, build_slayer

Array = Any
#: The two networks whose files other benchmarks use.
KEPT = ("conv", "dense")


@dataclass(frozen=True)
class Trained:
    """A network, its blocks and program, and what SLAYER says of the test digits in the program's integers."""

    network: SlayerNetwork
    blocks: BlockNetwork
    epochs: int
    spikes: Array


def trained(name: str, folder: Path, data: Any, epochs: int | None) -> Trained:
    build, config = RECIPES[name]
    config = config if epochs is None else replace(config, epochs=epochs)
    network = build_slayer(build)
    train_set, test_set = data
    batches = -(-len(train_set[0]) // config.batch_size) * config.epochs
    samples = digit_data(GreyPictures(*train_set), FrameSamples(*test_set))
    (folder / name).mkdir(parents=True, exist_ok=True)
    with progress_bar(name, batches) as advance:
        for result in fit(
            network, samples, config, folder / name, on_batch=lambda done, loss: advance(done, f"loss {loss:.3f}")
        ):  # fmt: skip
            print(f"{name}: {result}", file=sys.stderr, flush=True)
    blocks = from_slayer(network, input_shape=(2, 32, 32))
    if name in KEPT:
        export_netx(blocks, folder / f"mnist_{name}.net")
    return Trained(network, blocks, config.epochs, slayer_output(network, test_set[0]))


def simulated(case: Trained, frames: Array, engine: Engine) -> tuple[Array, dict[str, float]]:
    """Outputs at SLAYER's steps, and spikes of each layer a digit."""
    program, outputs, spikes = LoihiProgram(case.blocks), [], dict.fromkeys((b.name for b in case.blocks.blocks), 0.0)
    for first in range(0, len(frames), 50):
        trace = program.run(program_frames(case.network, frames[first : first + 50]), engine=engine)
        outputs.append(aligned(case.network, trace.output))
        for layer, counts in trace.counts.items():
            spikes[layer] += counts.spikes / len(frames)
    return np.concatenate(outputs), spikes


def on_lava(name: str, case: Trained, frames: Array, digits: int) -> tuple[Array, Array]:
    """Outputs on Lava, and SLAYER's at the same steps. Some digits are taken, evenly."""
    streamed = name in (*KEPT, "channel_decays")
    chosen = np.linspace(0, len(frames) - 1, digits if streamed else max(1, digits // 15)).round().astype(int)
    given, slayer = program_frames(case.network, frames[chosen]), case.spikes[chosen]
    if not streamed:
        trace = run_lava(case.blocks, flat_frames(given, case.blocks), time_limit=3000)
        return aligned(case.network, trace.output), slayer
    steps, depth = given.shape[1], len(case.blocks.blocks)
    blocks = case.blocks.with_reset(steps, 1)
    stream = flat_frames(given.reshape(1, -1, *given.shape[2:]), blocks)
    trace = run_lava(blocks, stream, time_limit=3000)
    ours = LoihiProgram(blocks).run(stream)
    assert all(np.array_equal(trace.spikes[layer], spikes) for layer, spikes in ours.spikes.items()), name
    return trace.output.reshape(len(chosen), steps, -1)[:, depth:], slayer[:, depth:]


def row(name: str, case: Trained, test: Any, lava_digits: int) -> str:
    frames, labels = test
    with float_weights(case.network):
        judged = in_float(case.network, SLAYER, Loss(), FrameSamples(frames, labels), np.arange(len(labels)))
        off_grid = judged.figures["accuracy"]

    def right(output: Array, some: Array = labels) -> float:
        return float((output.sum(1).argmax(1) == some).mean())

    fast, spikes = simulated(case, frames, "fast")
    slow, _ = simulated(case, frames, "reference")
    text = f"{name:15}{case.epochs:7}{100 * off_grid:9.1f}{100 * right(case.spikes):9.1f}{100 * right(fast):9.1f}"
    text += f"{100 * right(slow):11.1f}"
    differ = [int((case.spikes != fast).sum()), int((fast != slow).sum())]
    lava = f"{'':8}-{'':8}-"
    if lava_digits:
        output, slayer = on_lava(name, case, frames, lava_digits)
        chosen = np.linspace(0, len(frames) - 1, len(output)).round().astype(int)
        lava = f"{100 * right(output, labels[chosen]):9.1f}{100 * right(slayer, labels[chosen]):9.1f}"
        lava += f"{len(output):8}{int((output != slayer).sum()):9}"
    rates = " ".join(f"{count:.0f}" for count in spikes.values())
    return text + f"{differ[0]:10}{differ[1]:9}{case.spikes.size:12,}" + lava + f"   {rates}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--lava", type=int, default=300, help="digits on Lava (a 15th of them where it cannot stream)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    data = digit_sets(0, arguments.pictures, arguments.tests)
    np.save(arguments.folder / "mnist_frames.npy", data[1][0])
    print(f"MNIST-5k: {arguments.pictures} digits to train on, {len(data[1][1])} others to test on; I2E, S_th0 = 0.1.")
    print("Accuracy in %. float: SLAYER with weights off the chip's grid. a: outputs that differ between SLAYER and")
    print(
        "engine, b: between engine and reference, of so many; c: between Lava and SLAYER, on the digits that Lava got."
    )
    print("SLAYER *: on the same digits as Lava. Spikes (Sigma-Delta: messages) of each layer a digit.\n")
    head = f"{'network':15}{'epochs':>7}{'float':>9}{'SLAYER':>9}{'engine':>9}{'reference':>11}{'a':>10}{'b':>9}"
    print(head + f"{'of':>12}{'Lava':>9}{'SLAYER *':>9}{'digits':>8}{'c':>9}   spikes", flush=True)
    for name in arguments.only:
        case = trained(name, arguments.folder, data, arguments.epochs)
        print(row(name, case, data[1], arguments.lava), flush=True)


if __name__ == "__main__":
    main()
