"""The demo's digits on TrueNorth: a trinary network trained, lowered, and run beside the float one.

    python benchmarks/truenorth_digits.py [--epochs 12] [--out FOLDER] > benchmarks/results/truenorth_digits.txt

The digits are those of `i2e-deploy demo`: 4,000 to train on, 1,000 to test on, as I2E frames of 32x32 pixels and 8
steps. Where RANC's simulator is found (RANC_SIM), some digits run there too.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from i2e_deploy.chips import get, write_model
from i2e_deploy.errors import MissingDependency
from i2e_deploy.network import from_sinabs
from i2e_deploy.runtime.float_target import run_float
from i2e_deploy.training import FitConfig, FrameSamples, fit
from i2e_deploy.training.digit_data import GreyPictures, digit_data, digit_sets
from i2e_deploy.training.trinary import TRINARY, build_trinary_digits, with_trinary_weights

STEPS, SIZE = 8, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-size", type=int, default=4000)
    parser.add_argument("--ranc", type=int, default=2, help="digits that RANC runs too")
    parser.add_argument("--out", type=Path, help="folder for the network and frames")
    given = parser.parse_args()
    train_set, (frames, labels) = digit_sets(given.seed, given.train_size)
    module = build_trinary_digits(STEPS, torch.Generator().manual_seed(given.seed))
    start = time.perf_counter()
    data = digit_data(GreyPictures(*train_set), FrameSamples(frames, labels))
    config = FitConfig(epochs=given.epochs, seed=given.seed)
    for result in fit(module, data, config, running=TRINARY):
        print(f"epoch {result.epoch:2d}: loss {result.loss:.3f}, training {result.train['accuracy']:.1%}, "
              f"test {result.test['accuracy']:.2%}", flush=True)  # fmt: skip
    print(f"trained in {time.perf_counter() - start:.0f} s")
    example = torch.from_numpy(frames[:2]).float()
    network = from_sinabs(with_trinary_weights(module), (2, SIZE, SIZE), states="zero", example=example)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        write_model(network, given.out / "network.safetensors")
        np.savez(given.out / "digits.npz", frames=frames[:200], labels=labels[:200])
    compare(network, frames, labels, given.ranc)


def compare(network, frames, labels, ranc: int) -> None:  # type: ignore[no-untyped-def]
    """Cores, accuracy and spikes."""
    chip = get("truenorth")
    report, lowered = chip.check(network), chip.lower(network)
    program = lowered.decided_by(replace(lowered.deciding, classes=10))
    print(f"fits: {report.fits}; readout {program.deciding}")
    for finding in report.findings:
        if finding.rule in ("cores", "neurons", "loss"):
            print(f"  {finding}")
    start = time.perf_counter()
    trace = program.run(frames)
    seconds = time.perf_counter() - start
    wanted = run_float(network, program, frames)
    right = {"float": wanted, "TrueNorth": trace}
    for name, run in right.items():
        print(f"{name}: {(run.decisions() == labels).mean():.2%} of {len(labels)} digits, {run.ties()} ties")
    for name, spikes in wanted.spikes.items():
        differ = int((spikes != trace.spikes[name]).sum())
        print(f"  {name}: {differ} of {spikes.size:,} values differ, {trace.counts[name].spikes / len(labels):.0f} "
              f"spikes and {trace.counts[name].synops / len(labels):.0f} synaptic operations a digit")  # fmt: skip
    print(f"{len(frames)} digits of {frames.shape[1]} ticks in {seconds:.1f} s on the engine")
    print(chip.costs(program, frames, trace=trace))
    try:
        theirs = program.run_on("ranc", frames[:ranc])
    except MissingDependency:
        print("RANC's simulator is not there")
        return
    mine = program.run(frames[:ranc])
    assert mine.read is not None
    assert theirs.read is not None
    values = sum(array.size for array in theirs.spikes.values()) + theirs.read.size
    equal = all(np.array_equal(mine.spikes[n], array) for n, array in theirs.spikes.items())
    equal &= np.array_equal(mine.read, theirs.read)
    seen = "output alone" if theirs.unseen else "all layers"
    print(f"RANC's simulator on {ranc} digits, {seen}: {'equal' if equal else 'different'} in {values:,} values")


if __name__ == "__main__":
    main()
