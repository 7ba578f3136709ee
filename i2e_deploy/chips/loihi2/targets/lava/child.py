"""`python child.py FOLDER`: run `program.net` on `frames.npy` with Lava, sample by sample; see `lava.run`.

Leaves by `os._exit`: Lava's exit handlers can hang.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2.targets.lava.job_script import build
from i2e_deploy.errors import MissingDependency
from i2e_deploy.lava_shim import import_lava

_STATES = ("u", "v", "sigma", "act", "residue", "real", "imag")
#: Synapses of a layer, by the current that they feed; each keeps in a variable what it will send in later steps.
_SYNAPSES = {"in_flight": ("synapse", "synapse_rec", "real_synapse"), "in_flight_imag": ("imag_synapse",)}


def run_sample(folder: Path, options: dict[str, Any], frames: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """Messages and final states of every layer, (C, H, W) or (N,)."""
    sink = import_module("i2e_deploy.chips.loihi2.targets.lava.sink").FileSink
    network = build(folder, options)
    shape = options["input_shape"]
    data = frames.reshape(len(frames), *shape)
    flat = len(network.inp.shape) == 1
    data = data.reshape(len(frames), -1).T if flat else data.transpose(3, 2, 1, 0)
    source = import_module("lava.proc.io.source").RingBuffer(data=data)
    # An input block is entered at its neurons: through its own port, Lava's compiler finds no model for it.
    entry = network.in_layer.neuron.a_in if options["direct"] else network.inp
    source.s_out.connect(entry)
    paths = [str(folder / f"part{i}.npy") for i in range(len(network.layers))]
    for layer, path in zip(network.layers, paths, strict=True):
        layer.neuron.s_out.connect(sink(shape=layer.neuron.s_out.shape, steps=len(frames), path=path).a_in)
    configs = import_module("lava.magma.core.run_configs")
    config = configs.Loihi2HwCfg() if options["hardware"] else configs.Loihi2SimCfg(select_tag="fixed_pt")
    steps = import_module("lava.magma.core.run_conditions").RunSteps(num_steps=len(frames))
    network.run(condition=steps, run_cfg=config)
    states = [states_of(layer) for layer in network.layers]
    stop = Thread(target=network.stop, daemon=True)
    stop.start()
    stop.join(timeout=20)
    return [_chw_steps(np.load(path)) for path in paths], states


def states_of(layer: Any) -> dict[str, Any]:
    """State variables, (C, H, W) or (N,), and currents in flight, [depth, ...]: row 0 arrives in the next step."""
    found = {name: _chw(getattr(layer.neuron, name).get()) for name in _STATES if hasattr(layer.neuron, name)}
    for current, attributes in _SYNAPSES.items():
        synapses = [getattr(layer, attribute) for attribute in attributes if hasattr(layer, attribute)]
        if synapses:
            found[current] = sum(_buffer(synapse) for synapse in synapses)
    return found


def _buffer(synapse: Any) -> Any:
    """Dense [N], with delays [N, 63] (lava proc/dense/process.py:78, 263); convolution (W, H, C) (proc/conv)."""
    array = (synapse.a_buff if hasattr(synapse, "a_buff") else synapse.a_buf).get()
    return array.T if array.ndim == 2 else _chw(array)[None]


def _chw(array: Any) -> Any:
    return array.transpose(2, 1, 0) if array.ndim == 3 else array


def _chw_steps(array: Any) -> Any:
    return array.transpose(0, 3, 2, 1) if array.ndim == 4 else array


def main(folder: Path) -> None:
    """Read, run, write."""
    options = json.loads((folder / "options.json").read_text(encoding="utf-8"))
    try:
        import_lava("the target lava")
        if options["hardware"] and not import_module("lava.utils.loihi").is_installed():
            how = "pip install lava_loihi-VERSION.whl  # from Intel's INRC, on no public index"
            raise MissingDependency("lava-loihi", "the target board", how)
    except MissingDependency as error:
        fields = {"package": error.package, "needed_for": error.needed_for, "install": error.install}
        (folder / "missing.json").write_text(json.dumps(fields), encoding="utf-8")
        raise
    results = [run_sample(folder, options, frames) for frames in np.load(folder / "frames.npy")]
    for i in range(len(results[0][0])):
        np.save(folder / f"sent{i}.npy", np.stack([sent[i] for sent, _ in results]))
        for name in results[0][1][i]:
            np.save(folder / f"state{i}-{name}.npy", np.stack([states[i][name] for _, states in results]))


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its names must not shadow others
    code = 1
    try:
        main(Path(sys.argv[1]))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
