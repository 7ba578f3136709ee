"""Public records of Speck2f chips, run again: what the chip gave, and what we compute of the same network and input.

The records are other people's; `hardware_profiles/speck2f.toml` names the sources. Files, below the folder of records:
`speck2f_nmnist/cnn_sinabs.nir`, `speck2f_nmnist/speck_activity.npy` [1, digit, C, H, W] and
`speck2f_four_layers/network.safetensors`. The recordings are N-MNIST's, `CLASS/NUMBER.bin` with numbers of the test set
from 1 or, with those of the training set before them, from 60001.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.lowering.quantise import core_layer, quantise
from i2e_deploy.chips.dynapcnn.lowering.stages import arrange
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.runnable import DynapcnnProgram
from i2e_deploy.chips.recorded import Recorded, needed
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events import Events
from i2e_deploy.events.files import read_events
from i2e_deploy.files import read_array, read_tensors
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, Pool2d, chain

#: The first N-MNIST test recording of each class, which the authors of the NIR paper sent.
RECORDINGS = (4, 3, 2, 19, 5, 9, 12, 1, 62, 8)
#: Spikes of four layers, one run of the chip; another gave 40 in the last.
FOUR_LAYERS = (31_831, 12_906, 633, 38)
#: States of one neuron at ten ticks of the slow clock (sinabs documentation, speck/notebooks/leak_neuron.ipynb).
LEAK = (101, 88, 75, 62, 49, 36, 23, 10, -3, -16)
STEP_US = 1000
RECORDS, DATA = "the records (--records, I2E_DEPLOY_RECORDS)", "N-MNIST's test recordings (--data, I2E_DEPLOY_DATA)"

Replayed = tuple[Recorded, ...]


def first_layer(records: Path | None, data: Path | None, semantics: str) -> Replayed:
    """4,096 neurons of a first layer on ten recordings, states at zero before each."""
    from i2e_deploy.network import read_nir

    activity = needed(records, "speck2f_nmnist/speck_activity.npy", RECORDS)
    program = _lowered(read_nir(needed(records, "speck2f_nmnist/cnn_sinabs.nir", RECORDS)))
    layer = program.layers[0]
    alone = DynapcnnProgram(program.input_shape, (layer,), (Source(layer.name),))
    chips = read_array(activity)
    if chips.shape != (1, len(RECORDINGS), *layer.output_shape) or not np.isfinite(chips).all():
        raise FileFormatError(f"{activity} is {list(chips.shape)}: expected spikes [1, 10, C, H, W] of {layer.name!r}")
    rows = []
    for digit, number in enumerate(RECORDINGS):
        trace = _run(alone, _recording(data, digit, number), semantics)
        ours = trace.spikes[layer.name].sum(axis=(0, 1)).astype(np.int64)
        rows.append(Recorded(f"digit {digit}", "spikes", ours, np.rint(chips[0, digit]).astype(np.int64)))
    return tuple(rows)


def four_layers(records: Path | None, data: Path | None, semantics: str) -> Replayed:
    """Spikes of four layers on one recording, from the states that training left."""
    path = needed(records, "speck2f_four_layers/network.safetensors", RECORDS)
    held = read_tensors(path)[0]
    missing = [name for name in _FOUR if name not in held]
    if missing:
        raise FileFormatError(f"{path} has no {missing[0]!r}: it is not the network of this record")
    trace = _run(_lowered(_four_layer_network(held)), _recording(data, 0, RECORDINGS[0]), semantics)
    totals = [int(count.spikes) for count in trace.counts.values()]
    return tuple(
        Recorded(f"layer {i}", "spikes", np.array([ours]), np.array([chip]))
        for i, (ours, chip) in enumerate(zip(totals, FOUR_LAYERS, strict=True))
    )


def leak(records: Path | None, data: Path | None, semantics: str) -> Replayed:
    """One neuron with a bias of -13 a tick, from 127, read at ten ticks, the first of them the second one."""
    layer = CoreLayer(
        "n", (Source("input"),), np.array([[[[127]]]], np.int8), np.array([-13], np.int8), (1, 1), (0, 0), 127, -127,
        None, "subtract", (1, 1, 1), (1, 1, 1),
    )  # fmt: skip
    program, options = DynapcnnProgram((1, 1, 1), (layer,), (Source("n"),)), EventOptions(leak_fires="no")
    states: Any = {"n": {"v_mem": np.full((1, 1, 1, 1), 127, np.int64)}}
    seen = []
    for _ in range(len(LEAK) + 1):
        states = program.run(np.zeros((1, 1, 1, 1, 1), np.int64), semantics, states=states, options=options).states
        seen.append(int(states["n"]["v_mem"][0, 0, 0, 0]))
    return (Recorded("state at ten ticks", "state", np.array(seen[1:]), np.array(LEAK)),)


#: By the name that the profile gives them; records of totals over a hundred recordings are in `benchmarks/silicon.py`.
REPLAYS: dict[str, Callable[[Path | None, Path | None, str], Replayed]] = {
    "first-layer": first_layer, "four-layers": four_layers, "leak": leak,
}  # fmt: skip
_FOUR = ("0.weight", "1.v_mem", "3.weight", "4.v_mem", "6.weight", "7.v_mem", "9.weight", "10.v_mem")


def _four_layer_network(held: dict[str, NDArray[Any]]) -> Network:
    def neurons(number: int) -> IntegrateAndFire:
        return IntegrateAndFire(1.0, -1.0, start=held[f"{number}.v_mem"][0])

    layers = {
        "0": Conv2d(held["0.weight"], padding=(1, 1)), "1": neurons(1), "2": Pool2d((2, 2)),
        "3": Conv2d(held["3.weight"], padding=(1, 1)), "4": neurons(4), "5": Pool2d((2, 2)),
        "6": Conv2d(held["6.weight"], padding=(1, 1), stride=(2, 2)), "7": neurons(7),
        "8": Flatten(), "9": Linear(held["9.weight"]), "10": neurons(10),
    }  # fmt: skip
    return chain((2, 34, 34), layers)


def _lowered(network: Network) -> DynapcnnProgram:
    stages, outputs = arrange(network)
    channels, height, width = network.input_shape
    layers = tuple(core_layer(stage, quantise(stage)) for stage in stages)
    return DynapcnnProgram.of(CoreNetwork((channels, height, width), layers, outputs))


def _run(program: DynapcnnProgram, events: Events, semantics: str) -> Any:
    if semantics == "event":
        return program.run_events(events)
    return program.run(program.in_steps(events, STEP_US), semantics)


def _recording(data: Path | None, digit: int, number: int) -> Events:
    """A test recording, where the folder has it: as N-MNIST comes, or below `nmnist_small/test`."""
    names = [f"{digit}/{number:05d}.bin", f"{digit}/{60_000 + number}.bin"]
    places = [f"{folder}{name}" for folder in ("", "Test/", "nmnist_small/test/") for name in names]
    there = [place for place in places if data is not None and (data / place).is_file()]
    if not there:
        raise InputError(
            f"N-MNIST test recording {number} of class {digit} is needed, {names[0]} or {names[1]}: "
            f"{'no folder is named' if data is None else f'{data} does not have it'}; give the folder of {DATA}"
        )
    return read_events(needed(data, there[0], DATA)).events
