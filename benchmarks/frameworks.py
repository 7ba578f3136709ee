"""Networks trained on the digits in the style of each framework: its own forward, our float run, Loihi 2's integers.

python benchmarks/frameworks.py [--pictures 4000] [FRAMEWORK ...]

Needs the frameworks (`make oracles` installs them into .venv/oracles: PYTHONPATH=.venv/oracles). The networks are those
of `examples/NAME_digits.py`. Accuracy on the 1,000 test digits; calibrated on 64 training digits.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np

from i2e_deploy import network as nw
from i2e_deploy.chips import LowerOptions, get
from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.errors import I2EDeployError
from i2e_deploy.runtime import evaluate
from i2e_deploy.training import digit_sets

FRAMEWORKS = ("snntorch", "spikingjelly", "norse")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("frameworks", nargs="*", default=FRAMEWORKS)
    parser.add_argument("--pictures", type=int, default=4000)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; 1,000 test digits")
    for framework in arguments.frameworks:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.safetensors"
            example = importlib.import_module(f"{framework}_digits")
            own, read, differ = example.main(pictures=arguments.pictures, out=str(path))
            print(
                f"{framework}: own forward {100 * own:.1f} %, float run {100 * read:.1f} %, {differ} decisions differ"
            )
            _on_chips(nw.read(path), arguments.pictures)


def _on_chips(network: nw.Network, pictures: int) -> None:
    """Accuracy on the integers of each chip that takes it, with the 95 % interval; or why it does not."""
    import torch

    (images, _), (frames, labels) = digit_sets(seed=0, train_size=pictures, test_size=pictures)
    some = i2e_torch(torch.from_numpy(images[:64])[:, None], RATIO["mnist"]).numpy().astype(np.int64)
    for name, frames_of_it in (("loihi2", None), ("loihi2", some), ("speck2f", None)):
        how = "by range" if frames_of_it is None else "calibrated"
        try:
            program = get(name).lower(network, LowerOptions(calibration=frames_of_it))
            result = evaluate(program, frames.astype(np.int64), labels, batch_size=100).results[0]
        except I2EDeployError as error:
            print(f"  {name}: {error}")
            continue
        assert result.accuracy is not None
        assert result.interval is not None
        low, high = result.interval
        print(f"  {name}, {how}: {100 * result.accuracy:.1f} % ({100 * low:.1f} to {100 * high:.1f})", flush=True)


if __name__ == "__main__":
    main()
