"""Train a SLAYER network on I2E digits, deploy it to Loihi 2, compare. Run: python examples/deploy_slayer.py

A few minutes on two idle cores; interrupted, it goes on where it was. `--pictures 300 --epochs 1` for a look.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import i2e_deploy as i2e
from i2e_deploy.training import RECIPES, build_slayer, digits_as_data, fit
from i2e_deploy.training.slayer import program_frames, slayer_output


def main(out: Path, recipe: str = "conv", pictures: int = 4000, epochs: int | None = None, lava: bool = True) -> None:
    """From pictures to a bundle for Loihi 2 in the folder `out`."""
    build, config = RECIPES[recipe]
    config = replace(config, epochs=epochs or config.epochs, chip="loihi2")
    data = digits_as_data(seed=0, train_size=pictures, test_size=pictures)
    model = build_slayer(build)
    (out / recipe).mkdir(parents=True, exist_ok=True)
    for result in fit(model, data, config, out / recipe):
        print(result)  # train: deformed pictures; test: in float; chip: some of these on the chip's integers
    tested = data.test.batch(np.arange(len(data.test)), None)
    frames, labels = tested.frames, tested.targets

    network = i2e.chips.loihi2.from_slayer(model, example=frames[:10])  # compared with model.forward, every message
    chip = i2e.chips.get("loihi2")
    report = chip.check(network)
    print("fits:", report.fits, [str(f) for f in report.findings if f.severity in ("warning", "error")])
    inputs = program_frames(model, frames)
    trace = chip.lower(network).run(inputs)
    slayer = slayer_output(model, frames)
    print(f"accuracy SLAYER: {(slayer.sum(1).argmax(1) == labels).mean():.3f}", end=", ")
    print(f"engine: {(trace.decisions() == labels).mean():.3f}")
    same = trace.output[:, model.timing.late :]
    print("outputs that differ from SLAYER:", int((slayer != same).sum()), "of", slayer.size)
    written = i2e.bundle.write(out / "bundle", chip, network, inputs[:4], overwrite=True)
    print("golden vectors", i2e.bundle.verify(written))
    if lava:
        print("golden vectors", i2e.bundle.verify(written, target="lava"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("slayer_output"))
    parser.add_argument("--recipe", default="conv", choices=list(RECIPES))
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--no-lava", dest="lava", action="store_false")
    arguments = parser.parse_args()
    main(arguments.out, arguments.recipe, arguments.pictures, arguments.epochs, arguments.lava)
