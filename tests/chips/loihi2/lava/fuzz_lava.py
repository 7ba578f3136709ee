"""Compare the reference with Lava's process models on random networks. Run in a process of its own.

Usage: `python fuzz_lava.py FIRST COUNT FOLDER`. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from lava_child import run_and_exit
from lava_models import load, run_models
from loihi_nets import draw_frames, draw_network

from i2e_deploy.chips.loihi2 import read_netx
from i2e_deploy.chips.loihi2.formats.netx_write import write_netx
from i2e_deploy.chips.loihi2.program import BlockNetwork, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.reference.lava_weights import lava_dense
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.lava_shim import import_lava


def compare(seed: int, folder: Path, seen: Counter[str]) -> str | None:
    """None when every message and every state of every layer is equal; else what differs first."""
    network, path = draw_network(seed), folder / "fuzz.net"
    frames = draw_frames(network, seed)
    write_netx(network, path)
    options: dict[str, object] = {"input_message_bits": network.input_message_bits}
    neuron = network.blocks[-1].neuron
    reset = neuron.reset if isinstance(neuron, CubaLif) else None
    if reset is not None:
        options |= {"reset_interval": reset.interval, "reset_offset": reset.offset - len(network.blocks)}
    sent, states = run_models(load(path, **options), frames[0])
    again = read_netx(path, input_message_bits=network.input_message_bits)
    if reset is not None:
        again = again.with_reset(reset.interval, reset.offset - len(network.blocks))
    trace = LoihiProgram(again).run(frames, semantics="lava", engine="reference")
    for i, (name, spikes) in enumerate(trace.spikes.items()):
        if not np.array_equal(spikes[0], sent[i]):
            return f"seed {seed} layer {name}: {int((spikes[0] != sent[i]).sum())} messages differ"
        for key, value in trace.states[name].items():
            if key == "step":
                continue
            theirs = states[i][key][: len(value[0])] if "in_flight" in key else states[i][key]
            if not np.array_equal(value[0], theirs.reshape(value[0].shape)):
                return f"seed {seed} layer {name}: state {key} differs"
    _count(network, trace.counts, seen)
    return None


def _count(network: BlockNetwork, counts: object, seen: Counter[str]) -> None:
    """What the networks drawn held, so that a test can show that nothing was left out."""
    seen["layers"] += len(network.blocks)
    for block in network.blocks:
        seen[type(block.neuron).__name__] += 1
        for c in block.connections:
            seen[type(c.synapse).__name__] += 1
            seen["recurrent"] += c.source == block.name
            seen["delayed"] += getattr(c.synapse, "delay", None) is not None
            seen["grouped"] += getattr(c.synapse, "groups", 1) > 1
        dense = [c.synapse.weight for c in block.connections if isinstance(c.synapse, DenseSynapse)]
        seen["corrupted"] += (
            len(dense) == 1 and (lava_dense(dense[0])[0][0] != dense[0] << max(lava_dense(dense[0])[1], 0)).any()
        )
        seen["reset"] += isinstance(block.neuron, CubaLif) and block.neuron.reset is not None
    for count in counts.values():  # type: ignore[attr-defined]
        seen["spikes"] += count.spikes
        seen["wraps"] += count.wraps
        seen["saturations"] += count.saturations


def main(first: int, count: int, folder: Path) -> None:
    warnings.simplefilter("ignore")
    import_lava()
    seen: Counter[str] = Counter()
    found = []
    for seed in range(first, first + count):
        try:
            found.append(compare(seed, folder, seen))
        except Exception as error:  # noqa: PERF203
            traceback.print_exc()
            found.append(f"seed {seed}: {type(error).__name__}: {error}")
    numbers = {key: int(value) for key, value in seen.items()}
    print(json.dumps({"networks": count, "differences": [f for f in found if f], "seen": numbers}), flush=True)


if __name__ == "__main__":
    run_and_exit(lambda: main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
