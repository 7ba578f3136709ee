"""Time Lava (netx, `Loihi2SimCfg`, `fixed_pt`) on one network, in a process of its own. Used by `loihi2.py`.

Usage: `python lava_peer.py FILE.net FRAMES.npy NUM_LAYERS OUT.json`. FRAMES is [T, N], C outermost. Only the last
layer has a sink. Two runs of different length give the time of a step without compilation and first step.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from i2e_deploy.lava_shim import import_lava


def cpu_of_group() -> float:
    """CPU seconds of this process and all that it forked, from /proc."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == os.getpgrp():
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def measure(path: str, frames: Any, layers: int, bits: int) -> dict[str, Any]:
    """ms a step over all steps but the first, the output, and the peak memory of this process and its largest child."""
    net = import_module("lava.lib.dl.netx").hdf5.Network(
        net_config=path, num_layers=layers or None, input_message_bits=bits
    )
    sink_class = import_module("i2e_deploy.chips.loihi2.targets.lava.sink").FileSink
    direct = not hasattr(net.layers[0], "synapse")
    port = net.in_layer.neuron.a_in if direct else net.inp
    shape = port.shape
    data = frames.T if len(shape) == 1 else frames.reshape(len(frames), *shape[::-1]).transpose(3, 2, 1, 0)
    import_module("lava.proc.io.source").RingBuffer(data=data).s_out.connect(port)
    steps, out = len(frames), str(Path(sys.argv[4]).with_suffix(".out.npy"))
    net.out_layer.neuron.s_out.connect(sink_class(shape=net.out_layer.shape, steps=steps, path=out).a_in)
    config = import_module("lava.magma.core.run_configs").Loihi2SimCfg(select_tag="fixed_pt")
    run_steps = import_module("lava.magma.core.run_conditions").RunSteps
    start = time.perf_counter()
    net.run(condition=run_steps(num_steps=1), run_cfg=config)
    compiled = time.perf_counter()
    cpu = cpu_of_group()
    net.run(condition=run_steps(num_steps=steps - 1), run_cfg=config)
    done, cpu = time.perf_counter(), cpu_of_group() - cpu
    usage = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    stop = Thread(target=net.stop, daemon=True)
    stop.start()
    stop.join(timeout=20)
    usage[1] = max(usage[1], resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    return {
        "ms_per_step": (done - compiled) * 1000 / (steps - 1), "cpu_ms_per_step": cpu * 1000 / (steps - 1),
        "compile_s": compiled - start,
        "parent_mb": usage[0], "child_mb": usage[1], "output": np.load(out).tolist(),
    }  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import_lava()
    result = measure(sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5]))
    Path(sys.argv[4]).write_text(json.dumps(result), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)
