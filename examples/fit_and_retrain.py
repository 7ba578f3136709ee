"""Too large for Speck2f: cut it until it fits, train again, deploy: python examples/fit_and_retrain.py"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sinabs.layers import IAFSqueeze
from torch import nn

import i2e_deploy as i2e
from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.dynapcnn import DynapcnnChip, Fitted
from i2e_deploy.network import Network, from_sinabs, to_sinabs
from i2e_deploy.training import FitConfig, FrameSamples, Optimising, TrainingData, data_of, digit_sets, fit

#: Frames uint8 [N, T, C, H, W] and labels int64 [N].
Set = tuple[NDArray[np.uint8], NDArray[np.int64]]
SHAPE, STEPS = (2, 32, 32), 8
CHIP = DynapcnnChip("speck2f")


def oversized() -> nn.Sequential:
    """The linear layer has 48 x 16 x 16 inputs: 196,608 words of weights, the largest core has 65,536."""
    neurons = {"num_timesteps": STEPS, "spike_threshold": torch.tensor(1.0), "min_v_mem": -1.0}
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 16, 5, stride=2, padding=2, bias=False),
        IAFSqueeze(**neurons),
        nn.Conv2d(16, 48, 3, padding=1, bias=False),
        IAFSqueeze(**neurons),
        nn.Flatten(),
        nn.Linear(48 * 16 * 16, 10, bias=False),
        IAFSqueeze(**neurons),
    )


def trained(model: nn.Sequential, data: TrainingData, epochs: int) -> Network:
    """Stands for your training, in time steps."""
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight *= 3
    for result in fit(model, data, FitConfig(epochs=epochs, batch_size=20, optimising=Optimising(learning_rate=2e-3))):
        print(result)
    return from_sinabs(model, SHAPE, data.test.batch(np.arange(2), None).frames, states="zero")


def retrained(fitted: Fitted, data: TrainingData, epochs: int) -> Network:
    """The changed network as a Sinabs module, trained through the chip's own events, and read back."""
    model = to_sinabs(fitted.network, STEPS)
    assert isinstance(model, nn.Sequential)
    gentle = Optimising(learning_rate=5e-4, schedule="constant", warm_up=0)
    config = FitConfig(epochs=epochs, batch_size=20, optimising=gentle, chip="speck2f", through="event")
    for result in fit(model, data, config):
        print(result)
    return from_sinabs(model, SHAPE, data.test.batch(np.arange(2), None).frames, states="zero")


def right(network: Network, test: Set) -> float:
    """Correct decisions of the asynchronous chip, in percent."""
    return 100 * float((CHIP.lower(network).run(test[0], "event").decisions() == test[1]).mean())


def main(out: Path = Path("retrained"), pictures: int = 600, tests: int = 200, epochs: int = 3) -> None:
    """Train what is too large, make it fit, train again for one epoch, and write a bundle."""
    (images, labels), test = digit_sets(0, pictures, tests)
    frames = i2e.conversion.convert(images[:, None], i2e.conversion.RATIO["mnist"])
    data = data_of(FrameSamples(frames, labels), FrameSamples(*test))
    network = trained(oversized(), data, epochs)
    print("fits as trained:", CHIP.check(network).fits)
    fitted = CHIP.make_fit(network, frames[:20])  # the command: i2e-deploy check ... --apply
    for step in fitted.steps:
        print(f"{step.change.layer}: {step.change}: {step.how}; {step.weights[0]:,} to {step.weights[1]:,} weights")
    again = retrained(fitted, data, epochs=1)
    print("fits:", CHIP.check(again, LowerOptions(split=fitted.split)).fits)
    stages = {"as trained": network, "changed": fitted.network, "trained again": again}
    print("as events:", ", ".join(f"{name} {right(each, test):.1f} %" for name, each in stages.items()))
    i2e.network.write(again, out.with_suffix(".safetensors"))
    lowered = CHIP.check(again, LowerOptions(split=fitted.split)), CHIP.lower(again, LowerOptions(split=fitted.split))
    written = i2e.bundle.write(out, CHIP, again, test[0][:1, :3], overwrite=True, semantics="event", lowered=lowered)
    print("golden vectors", i2e.bundle.verify(written))


if __name__ == "__main__":
    main()
