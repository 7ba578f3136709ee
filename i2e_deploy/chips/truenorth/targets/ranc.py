"""Run a program on RANC's own simulator, which the user has built from its sources (UA-RCL/RANC, folder `simulator`).

It is found by the variable `RANC_SIM`, or as `ranc_sim` on the path. Each sample is a process from a fresh state. Small
programs are run with its log of potentials, which has every neuron; of large ones only the output is seen.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.chips.truenorth.formats.ranc import as_bytes, config_json, grid_of, input_json, refuse
from i2e_deploy.chips.truenorth.program import AXONS, NEURONS, NOWHERE, SLOTS, CoreNetwork
from i2e_deploy.chips.truenorth.reference.counts import TrueNorthCounts
from i2e_deploy.chips.truenorth.reference.states import Held, packed, states_of
from i2e_deploy.errors import I2EDeployError, InputError, MissingDependency

VARIABLE, PROGRAM = "RANC_SIM", "ranc_sim"
#: Seconds for one sample.
TIME_LIMIT = 600.0
#: Neurons times ticks of a sample up to which potentials are logged: about 250 bytes each.
MOST_LOGGED = 400_000

_CORE = re.compile(r"Core Controller \((\d+), (\d+)\) running")
_NEURON = re.compile(r"Neuron (\d+) integration")
_POTENTIAL = re.compile(r"Neuron ends at potential: (-?\d+)")


def find_ranc() -> Path:
    """The simulator's binary.

    Raises:
        MissingDependency: there is none.
        InputError: `RANC_SIM` is no program.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if not os.access(given, os.X_OK) or os.path.isdir(given):
            raise InputError(f"{VARIABLE} is {given!r}, which is no program: give the path of RANC's {PROGRAM}")
        return Path(given)
    found = shutil.which(PROGRAM)
    if found is None:
        build = "cmake -S simulator -B build && make -C build && export RANC_SIM=$PWD/build/ranc_sim"
        raise MissingDependency(f"{PROGRAM} of the sources UA-RCL/RANC", "target 'ranc'", build, "program")
    return Path(found)


def run_ranc(network: CoreNetwork, frames: Integers) -> Trace:
    """Run [B, T, N] inputs, each sample from a fresh state.

    Returns:
        Spikes of every layer and the states at the end (spikes in flight follow from those that it logged), or the
        output alone, see above. RANC counts nothing: `uncounted`.

    Raises:
        MissingDependency, InputError: see `find_ranc`.
        UnsupportedError: see `formats.ranc.refuse`.
        I2EDeployError: RANC failed, or wrote something else.
    """
    refuse(network)
    binary, grid = find_ranc(), grid_of(network)
    steps, output = frames.shape[1], network.layers[-1]
    neurons = grid.width * grid.height * int(network.cores.sizes.max())
    logged = neurons * steps <= MOST_LOGGED
    outputs = np.zeros((len(frames), steps, output.size), np.int32)
    fired = np.zeros((len(frames), steps, len(network.cores) * NEURONS), bool) if logged else None
    v = np.zeros((len(frames), len(network.cores) * NEURONS), np.int64)
    for sample, given in enumerate(frames):
        with tempfile.TemporaryDirectory(prefix="i2e-ranc-") as name:
            folder = Path(name)
            (folder / "input.json").write_bytes(as_bytes(input_json(network, given)))
            (folder / "config.json").write_bytes(as_bytes(dict(config_json(network, logged))))
            _run(binary, folder, steps + 1, logged)  # the bus tells of a tick at the start of the next one
            outputs[sample] = _outputs(folder / "output.txt", steps, output.size)
            if fired is not None:
                _read_log(folder, grid.width, steps, fired[sample], v[sample])
    return _trace(network, outputs, fired, v)


def _run(binary: Path, folder: Path, ticks: int, logged: bool) -> None:
    command = [str(binary), "-i", "input.json", "-o", "output.txt", "-c", "config.json", "--ticks", str(ticks)]
    command += ["-t", "trace.txt"] if logged else []
    try:
        ended = subprocess.run(  # noqa: S603
            [*command, "-r", str(ticks + 1)],
            cwd=folder, capture_output=True, text=True, errors="replace", timeout=TIME_LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise I2EDeployError(f"RANC did not finish a sample within {TIME_LIMIT:.0f} s") from None
    except OSError as error:
        raise InputError(f"{binary} does not run: {error.strerror}; build RANC's simulator on this machine") from error
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if "[ERROR]" in line]
    if ended.returncode or lines:
        said = lines[0][:300] if lines else "no message"
        raise I2EDeployError(f"RANC failed (exit code {ended.returncode}): {said}")


def _outputs(path: Path, steps: int, size: int) -> NDArray[np.int32]:
    """A line a tick, of the spikes of the tick before."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if len(rows) != steps + 1 or any(len(row) != size + 1 for row in rows):
        raise I2EDeployError(f"RANC wrote {len(rows)} lines of output, expected {steps + 1} of {size + 1} values")
    return np.array(rows[1:], np.int32)[:, :size]


def _logs(folder: Path) -> Iterator[str]:
    """Its log, which may be in several files."""
    for path in sorted(folder.glob("trace*.txt")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield from lines


def _read_log(folder: Path, width: int, steps: int, fired: NDArray[np.bool_], v: NDArray[np.int64]) -> None:
    """Who fired [T, K * 256], and the potentials after the last tick [K * 256]."""
    tick, core, neuron, cores = 0, 0, 0, len(v) // NEURONS
    for line in _logs(folder):
        if "begins" in line and "Tick" in line:
            tick = int(line.split("Tick")[1].split()[0])
        elif found := _CORE.search(line):
            core = int(found[1]) + width * int(found[2])
        elif found := _NEURON.search(line):
            neuron = core * NEURONS + int(found[1])
        elif tick > steps or core >= cores:
            continue
        elif "Neuron spikes" in line:
            fired[tick - 1, neuron] = True
        elif found := _POTENTIAL.search(line):
            v[neuron] = int(found[1])
    if tick != steps + 1:
        raise I2EDeployError(f"RANC logged {tick} ticks, expected {steps + 1}")


def _on_their_way(network: CoreNetwork, fired: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Where the spikes that it logged [T, K * 256] are after the last tick: uint64 [16, K, 4]."""
    found = np.zeros((SLOTS, len(network.cores), AXONS), bool)
    target, delay = network.cores.target.reshape(-1), network.cores.delay.reshape(-1).astype(int)
    for tick, neurons in enumerate(fired):
        sent = np.flatnonzero(neurons & (target != NOWHERE))
        slot = tick + delay[sent] - len(fired)
        found[slot[slot >= 0], target[sent[slot >= 0]] // AXONS, target[sent[slot >= 0]] % AXONS] = True
    return packed(found)


def _trace(network: CoreNetwork, outputs: Integers, fired: NDArray[np.bool_] | None, v: NDArray[np.int64]) -> Trace:
    batch, steps = outputs.shape[:2]
    last = network.layers[-1]
    if fired is None:
        spikes = {last.name: outputs.reshape(batch, steps, *last.shape)}
        unseen = {i: layer.name for i, layer in enumerate(network.layers[:-1])}
        return Trace(spikes, {}, outputs, {}, unseen=unseen, deciding=network.deciding)
    spikes = {
        layer.name: fired[:, :, layer.neurons].reshape(batch, steps, *layer.shape).astype(np.int32)
        for layer in network.layers
    }
    if not np.array_equal(spikes[last.name].reshape(outputs.shape), outputs):
        raise I2EDeployError("RANC's log and its output differ: is it the version that this file knows?")
    arriving = np.stack([_on_their_way(network, of_sample) for of_sample in fired])
    end = Held(v.reshape(batch, -1, NEURONS).astype(np.int32), arriving, np.ones((batch, len(network.cores)), np.int64))
    states = states_of(network, end)
    counts = {name: TrueNorthCounts(int(array.sum()), 0, 0) for name, array in spikes.items()}
    trace = Trace(spikes, states, outputs, counts, uncounted=frozenset({"synops", "saturations", "sent"}))
    return replace(trace, deciding=network.deciding)
