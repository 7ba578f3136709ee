"""Run a program on Lava: its CPU models here, or the chip where Intel's extension is installed.

Lava runs in a child interpreter: its runtime forks, and its `run` and `stop` can hang (see `lava_shim`). Arrays go
through files in a temporary folder, so that reading results back takes milliseconds and not 35 us a value.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from i2e_deploy.chips.loihi2.formats.netx_export import Mended, export_netx
from i2e_deploy.chips.loihi2.formats.netx_readout import without_readout
from i2e_deploy.chips.loihi2.formats.netx_write import refuse_programmable, write_netx
from i2e_deploy.chips.loihi2.program import BlockNetwork, as_image
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.loihi2.reference.neurons import IN_FLIGHT, depth_of, extra_shapes
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import I2EDeployError, MissingDependency

#: Seconds for a whole run, compilation included.
TIME_LIMIT = 600.0
_CHILD = Path(__file__).with_name("child.py")


def run_lava(
    network: BlockNetwork,
    frames: Integers,
    semantics: str = "chip",
    hardware: bool = False,
    time_limit: float = TIME_LIMIT,
) -> Trace:
    """Run [B, T, N] inputs, each sample from a fresh state.

    Args:
        network: the program's blocks.
        frames: see `LoihiProgram.run`, flat.
        semantics: `"chip"` hands Lava a corrected file (see `export`), `"lava"` the file as it is.
        hardware: on the chip, with `Loihi2HwCfg`; else Lava's `fixed_pt` models with `Loihi2SimCfg`.
        time_limit: seconds after which the child is ended.

    Returns:
        Spikes and final states of every layer, currents in flight included, all as Lava has them. Synaptic
        operations, wraps and saturations are not known to Lava: `uncounted`.

    Raises:
        MissingDependency: Lava, or for `hardware` Intel's extension, is not installed, or numpy is 2 or later.
        UnsupportedError: a `.net` file cannot hold the network, or Lava has no such neurons.
        I2EDeployError: Lava failed; the message has its last line.
    """
    refuse_programmable(network)
    if int(np.__version__.split(".")[0]) >= 2:  # its runtime hangs or fails, on PilotNet among others
        raise MissingDependency("numpy<2", f"Lava 0.10 (found numpy {np.__version__})", "pip install 'numpy<2'")
    with tempfile.TemporaryDirectory(prefix="i2e-lava-") as name:
        folder = Path(name)
        if semantics == "lava":
            write_netx(without_readout(network), folder / "program.net")
            mended = Mended(network, {})
        else:
            mended = export_netx(network, folder / "program.net")
        np.save(folder / "frames.npy", frames.astype(np.int32))
        (folder / "options.json").write_text(json.dumps(options_of(mended.network, hardware)), encoding="utf-8")
        _run_child(folder, time_limit)
        return _trace(network, mended, folder, frames, semantics)


def options_of(network: BlockNetwork, hardware: bool) -> dict[str, object]:
    """What a run of a netx file needs to know beside it, JSON-able."""
    resets = [b.neuron.reset for b in network.blocks]
    spike_exp = {getattr(b.neuron, "spike_exp", None) for b in network.blocks} - {None}
    return {
        "input_shape": list(as_image(network.input_shape)),
        "input_message_bits": network.input_message_bits,
        "resets": [None if r is None else [r.interval, r.offset] for r in resets],
        "spike_exp": next(iter(spike_exp), 6),
        "direct": network.blocks[0].connections[0].synapse is None,
        "hardware": hardware,
    }


def _run_child(folder: Path, time_limit: float) -> None:
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, str(_CHILD), str(folder)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _, text = child.communicate(timeout=time_limit)
    except subprocess.TimeoutExpired:
        _end(child)
        raise I2EDeployError(
            f"Lava did not finish within {time_limit:.0f} s: it hangs after errors of its models"
        ) from None
    except BaseException:
        _end(child)
        raise
    if child.returncode:
        missing = folder / "missing.json"
        if missing.exists():
            raise MissingDependency(**json.loads(missing.read_text(encoding="utf-8")))
        lines = [line for line in text.splitlines() if line.strip()] or ["no message"]
        raise I2EDeployError(f"Lava failed (exit code {child.returncode}): {lines[-1][:300]}")


def _end(child: subprocess.Popen[str]) -> None:
    """End the child and the processes that Lava forked."""
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def _trace(network: BlockNetwork, mended: Mended, folder: Path, frames: Integers, semantics: str) -> Trace:
    spikes: dict[str, Integers] = {}
    states: dict[str, dict[str, Integers]] = {}
    counts: dict[str, LoihiCounts] = {}
    samples, steps = frames.shape[:2]
    for i, layer in enumerate(layers_of(network, semantics)):
        extra = mended.added.get(layer.name, 0)

        def read(name: str, tail: tuple[int, ...], extra: int = extra) -> Integers:
            values: Integers = np.load(folder / name, allow_pickle=False)
            if values.shape[-1:] and extra:
                values = values[..., :-extra]
            return values.reshape(samples, -1, *tail)

        spikes[layer.name] = read(f"sent{i}.npy", layer.shape).astype(np.int32)
        found: dict[str, Integers] = {
            path.stem.split("-")[1]: read(path.name, layer.shape).astype(np.int64)
            for path in sorted(folder.glob(f"state{i}-*.npy"))
        }
        for name, value in found.items():  # Lava's buffers of delays have 63 slots, ours as many as there are delays
            found[name] = value[:, : depth_of(layer)] if name in IN_FLIGHT else value[:, 0]
        if "step" in extra_shapes(layer):
            found["step"] = np.full(samples, steps)
        states[layer.name] = found
        counts[layer.name] = LoihiCounts(int((spikes[layer.name] != 0).sum()), 0, 0)
    output = spikes[network.blocks[-1].name].reshape(samples, steps, -1)
    uncounted = frozenset({"synops", "saturations", "wraps"})
    return Trace(spikes, states, output, counts, uncounted=uncounted, deciding=network.deciding)
