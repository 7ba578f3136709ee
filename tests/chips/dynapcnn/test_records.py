"""What real Speck2f chips gave on known networks and inputs, beside what we compute: the highest evidence there is.

The records are other people's and public; `I2E_DEPLOY_RECORDS` names the folder that holds them, `I2E_DEPLOY_DATA` that
of the N-MNIST recordings. Agreement is of the level "record": a figure, stated here, and not equality. The bounds are
the figures that were found: a change that makes us worse must fail.
"""

from __future__ import annotations

import numpy as np
import pytest
from public_data import public, record

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, EventOptions
from i2e_deploy.chips.dynapcnn.program import CoreLayer, Source
from i2e_deploy.chips.trace import States
from i2e_deploy.events.files import read_events
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Pool2d, chain, read_nir

#: The first N-MNIST test recording of each class, which the authors of the NIR paper (Nature Communications 2024) sent.
RECORDINGS = (60004, 60003, 60002, 60019, 60005, 60009, 60012, 60001, 60062, 60008)
#: Neurons of the first layer, of 4,096, whose count differs from the chip's.
DIFFERING = (166, 0, 164, 162, 33, 108, 121, 80, 116, 109)


@pytest.mark.parametrize("digit", range(10))
def test_the_first_layer_of_a_trained_network(digit: int) -> None:
    """Spikes of 4,096 neurons on a recording of half a second; the chip's states were reset before it."""
    pytest.importorskip("nir")
    chips = np.load(record("speck2f_nmnist/speck_activity.npy"), allow_pickle=False)[0, digit]
    program = get("speck2f").lower(read_nir(record("speck2f_nmnist/cnn_sinabs.nir")))
    assert isinstance(program, DynapcnnProgram)
    events = read_events(public(f"nmnist_small/test/{digit}/{RECORDINGS[digit]}.bin")).events
    trace = program.run_events(events)
    first = program.layer_names[0]
    ours = trace.spikes[first].sum(axis=(0, 1))
    differ = ours != chips
    assert int(differ.sum()) <= DIFFERING[digit]
    assert np.abs(ours - chips).max(initial=0) <= 2
    assert abs(int(ours.sum()) - int(chips.sum())) <= 0.003 * chips.sum()
    steps = program.run(program.in_steps(events, 1000)).spikes[first].sum(axis=(0, 1))
    assert int((steps != chips).sum()) > 2 * int(differ.sum())  # time steps of 1 ms predict the chip worse


def test_four_layers_from_the_states_that_training_left() -> None:
    """Sinabs writes a module's membrane states to the chip: the run starts where training stopped.

    Another run of the chip gave 40 spikes in the last layer.
    """
    from safetensors.numpy import load_file

    held = load_file(record("speck2f_four_layers/network.safetensors"))
    neurons = IntegrateAndFire(1.0, -1.0)
    net = chain(
        (2, 34, 34),
        {
            "0": Conv2d(held["0.weight"], padding=(1, 1)), "1": neurons, "2": Pool2d((2, 2)),
            "3": Conv2d(held["3.weight"], padding=(1, 1)), "4": neurons, "5": Pool2d((2, 2)),
            "6": Conv2d(held["6.weight"], padding=(1, 1), stride=(2, 2)), "7": neurons,
            "8": Flatten(), "9": Linear(held["9.weight"]), "10": neurons,
        },
    )  # fmt: skip
    program = get("speck2f").lower(net)
    assert isinstance(program, DynapcnnProgram)
    events = read_events(public("nmnist_small/test/0/60004.bin")).events
    states = {
        layer.name: {
            "v_mem": np.rint(held[f"{int(layer.name) + 1}.v_mem"][:1] * layer.threshold)
            .astype(np.int64)
            .reshape(1, *layer.output_shape)
        }
        for layer in program.layers
    }
    totals = [int(count.spikes) for count in program.run_events(events, states=states).counts.values()]
    chips = [31_831, 12_906, 633, 38]
    for ours, theirs, bound in zip(totals, chips, (3, 14, 0, 2), strict=True):
        assert abs(ours - theirs) <= bound, (totals, chips)
    fresh = [int(count.spikes) for count in program.run_events(events).counts.values()]
    assert all(fresh[i] < 0.98 * chips[i] for i in (0, 1))  # from zero, the first layers are too quiet


def test_a_leak_tick_by_tick() -> None:
    """A bias of -13 a tick of the slow clock from 127: states that Sinabs' documentation shows of a Speck2f.

    Conv2d 1x1 with weight 1 and bias -0.1, threshold 1, lower bound -1.
    """
    read = [101, 88, 75, 62, 49, 36, 23, 10, -3, -16]
    layer = CoreLayer(
        "n", (Source("input"),), np.array([[[[127]]]], np.int8), np.array([-13], np.int8), (1, 1), (0, 0), 127, -127,
        None, "subtract", (1, 1, 1), (1, 1, 1),
    )  # fmt: skip
    program = DynapcnnProgram((1, 1, 1), (layer,), (Source("n"),))
    start = {"n": {"v_mem": np.full((1, 1, 1, 1), 127, np.int64)}}
    options, seen = EventOptions(leak_fires="no"), []
    states: States = start
    for _ in range(11):
        trace = program.run_events(np.zeros((1, 1, 1, 1, 1), np.int64), states=states, options=options)
        states = trace.states
        seen.append(int(states["n"]["v_mem"][0, 0, 0, 0]))
    assert seen[1:] == read
