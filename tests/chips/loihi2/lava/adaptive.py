"""Lava's ATRLIF without its refractory part beside ProgrammableLif, drawn. Run in a process of its own.

Usage: `python adaptive.py DRAWS`. Prints one line of JSON.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

import numpy as np
from lava_child import run_and_exit
from lava_models import OutPort, model_of

from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.lava_shim import import_lava

STEPS, SIZE = 40, 12


def compare(seed: int) -> dict[str, int]:
    """How many spikes and states differ, and what happened."""
    from lava.proc.atrlif.process import ATRLIF

    rng = np.random.default_rng(seed)
    current, voltage, adaptation = (int(k) for k in rng.integers(1, 4097, 3))
    threshold, step, bias = int(rng.integers(1, 300)), int(rng.integers(0, 200)), int(rng.integers(-9, 10))
    high = int(rng.choice([30, 400, 60_000]))
    given = rng.integers(-high // 2, high, (STEPS, SIZE)) * (rng.random((STEPS, SIZE)) < 0.5)
    # its current decays by delta_i * 4096 + 1 parts (ds_offset); delta_r = 1 forgets the refractory state at once
    process = ATRLIF(
        shape=(SIZE,), delta_i=(current - 1) / 4096, delta_v=voltage / 4096, delta_theta=adaptation / 4096, delta_r=1.0,
        theta_0=threshold, theta_step=step, theta=threshold, bias_mant=bias, bias_exp=6,
    )  # fmt: skip
    model: Any = model_of(process)
    model.s_out = OutPort(np.int32)
    model.s_out.log = []
    channel: queue.Queue[Any] = queue.Queue()
    model.a_in.channels.append(channel)
    for row in given:
        channel.put(row.astype(np.int32))
        model.run_spk()
    neuron = ProgrammableLif(
        np.array([current]), np.array([voltage]), np.array([threshold]), "none", fires=">=",
        adaptation_decay=np.array([adaptation]), adaptation_step=np.array([step]),
    )  # fmt: skip
    block = Block("a", neuron, (SIZE,), (Connection(SOURCE, None),), np.full(SIZE, bias))
    trace = LoihiProgram(BlockNetwork((SIZE,), (block,), 32)).run(given[None])
    states = {name: value[0] for name, value in trace.states["a"].items()}
    theirs = {"u": model.i, "v": model.v, "adaptation": model.theta - model.theta_0}
    return {
        "spikes": int(trace.output.sum()),
        "grown": int((states["adaptation"] > 0).sum()),
        "wraps": trace.counts["a"].wraps,  # type: ignore[attr-defined]
        "different spikes": int((np.array(model.s_out.log) != trace.output[0]).sum()),
        "different states": int(sum((value != states[name]).sum() for name, value in theirs.items())),
    }


def main() -> None:
    import_lava()
    print(json.dumps([compare(seed) for seed in range(int(sys.argv[1]))]))


if __name__ == "__main__":
    run_and_exit(main)
