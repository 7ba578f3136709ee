"""Deploy your own Sinabs network to Speck2f: check, lower, simulate, export. Run: python examples/deploy_sinabs.py"""

from pathlib import Path

import numpy as np
import torch
from sinabs.layers import IAFSqueeze
from torch import nn

from i2e_deploy import bundle, chips
from i2e_deploy.network import from_sinabs


def trained_network() -> nn.Sequential:
    """Stands for yours, e.g. `model.load_state_dict(torch.load("weights.pt", weights_only=True))`."""
    torch.manual_seed(0)
    neurons = {"num_timesteps": 8, "spike_threshold": torch.tensor(0.5), "min_v_mem": -1.0}
    return nn.Sequential(
        nn.Conv2d(2, 8, 5, stride=2, padding=2, bias=False),
        IAFSqueeze(**neurons),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 8 * 8, 10, bias=False),
        IAFSqueeze(**neurons),
    )


def main(out: Path = Path("my_bundle")) -> None:
    """From a Sinabs model to a bundle."""
    network = from_sinabs(trained_network(), input_shape=(2, 32, 32))
    chip = chips.get("speck2f")
    report = chip.check(network)  # every layer against every rule; nothing is raised
    for finding in report.findings:
        if finding.severity != "ok":
            print(finding.severity, finding)
    program = chip.lower(network)  # integers; equal to Sinabs' discretised network
    frames = (np.random.default_rng(0).random((4, 8, 2, 32, 32)) < 0.1).astype(np.uint8)
    trace = program.run(frames)
    print("decisions", trace.decisions(), "counts", dict(trace.counts))
    written = bundle.write(out, chip, network, frames, overwrite=True)
    print("golden vectors exact:", bundle.verify(written).exact)


if __name__ == "__main__":
    main()
