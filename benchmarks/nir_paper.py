"""The networks of the NIR paper and of BRANDY: our float run, Speck's integers and Loihi 2's, beside what was recorded.

I2E_DEPLOY_NETWORKS=... I2E_DEPLOY_RECORDS=... I2E_DEPLOY_DATA=... python benchmarks/nir_paper.py

The folders hold the files that the papers' authors published (tests/support/public_data.py). Task 1: one neuron in
eight simulators. Task 2: a convolutional network on 100 N-MNIST test recordings in 300 steps each. Task 3: recurrent
networks on drawn input. BRANDY's networks on the same recordings, in 30 steps as its authors cut them.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.chips import LowerOptions, get
from i2e_deploy.errors import InputError
from i2e_deploy.network import Network, read_nir
from i2e_deploy.runtime import evaluate, read_samples

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from simulators import DT, SIMULATORS, traced

SINABS: Mapping[str, Any] = {"reset": "subtract", "max_spikes": "any", "min_v": "-threshold"}


def main() -> None:
    networks, records, data = (Path(os.environ[f"I2E_DEPLOY_{name}"]) for name in ("NETWORKS", "RECORDS", "DATA"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    _one_neuron(networks / "nir")
    _on_recordings("task 2", read_nir(records / "speck2f_nmnist/cnn_sinabs.nir", **SINABS), data, 300)
    for name in ("noDelay_bias_zero", "noDelay_noBias_subtract"):
        _recurrent(networks / "nir" / f"braille_{name}.nir", name)
    for path in sorted((networks / "nir").glob("brandy_*.nir"), key=lambda path: int(path.stem.rpartition("_")[2])):
        _on_recordings(path.stem, read_nir(path, **SINABS), data, 30)


def _one_neuron(folder: Path) -> None:
    for name, (method, reset, late, unit, _) in SIMULATORS.items():
        table = np.loadtxt(folder / f"lif_{name}.csv", delimiter=",")
        options: Any = {"method": method, "reset": reset, "max_spikes": 1, "min_v": "none"}
        voltages, spikes = traced(read_nir(folder / "lif_norse.nir", dt=DT, **options), (table[:, 0] > 0).astype(float))
        differ = int((np.roll(spikes, late) != (table[:, 2] > 0)).sum())
        apart = float(np.abs(np.roll(voltages, late) - table[:, 1] / unit).max())
        print(f"task 1, {name:15} {method:12} reset={reset:9} {differ} of 1,000 steps differ, voltage by {apart:.1e}")


def _on_recordings(title: str, network: Network, data: Path, steps: int) -> None:
    samples = read_samples(data / "nmnist_small/test", network.input_shape, steps)
    for chip in ("speck2f", "loihi2"):
        program = get(chip).lower(network)
        try:
            found = evaluate(program, samples.frames, samples.labels, ["float", "simulator"], network=network)
        except InputError as error:  # a network whose output never fires
            print(f"{title}, {chip}: {str(error).partition(':')[0]}", flush=True)
            continue
        floats, integers = found.results
        assert floats.accuracy is not None
        assert integers.accuracy is not None
        same = found.agreements[0]
        print(f"{title}, {len(samples.frames)} recordings, {steps} steps: float {floats.accuracy:.1%}, {chip} "
              f"{integers.accuracy:.1%}, {same.same} of {same.total} decisions equal", flush=True)  # fmt: skip


def _recurrent(path: Path, name: str) -> None:
    reset: Any = name.rpartition("_")[2]
    network = read_nir(path, dt=DT, method="euler", reset=reset, max_spikes=1, min_v="none")
    x = (np.random.default_rng(6).random((4, 80, 12)) < 0.25).astype(np.int64)
    program = get("loihi2").lower(network, LowerOptions(calibration=x))
    late = list(program.latencies.values())[-1]
    padded = np.concatenate([x, np.zeros((4, late, 12), np.int64)], axis=1)
    ours = program.run(padded).output[:, late:].reshape(4, 80, -1)
    wanted = network.run(x).output
    differ = int((ours != wanted).sum())
    print(f"task 3, {name}: output spikes float {int(wanted.sum())}, loihi2 {int(ours.sum())}, "
          f"{differ} of {wanted.size} places differ", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
