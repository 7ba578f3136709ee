"""Questions whose points public records of a Speck2f settle: their alternatives, on the record's own network and input.

A record prefers the alternative that the simulator takes; where it prefers none, the point is still to be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from public_data import public, record

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, EventOptions, Source
from i2e_deploy.chips.dynapcnn.probing.arithmetic import NO_BOUND
from i2e_deploy.chips.dynapcnn.probing.probe import questions
from i2e_deploy.chips.dynapcnn.reference.event_options import choices
from i2e_deploy.events.array import Events
from i2e_deploy.events.files import read_events
from i2e_deploy.network import read_nir

Counts = NDArray[np.int64]
#: First N-MNIST test recordings of the classes 1 and 4: the shortest two.
RECORDINGS = {1: 60003, 4: 60005}


def first_layer() -> DynapcnnProgram:
    pytest.importorskip("nir")
    program = get("speck2f").lower(read_nir(record("speck2f_nmnist/cnn_sinabs.nir")))
    assert isinstance(program, DynapcnnProgram)
    layer = program.layers[0]
    return DynapcnnProgram(program.input_shape, (layer,), (Source(layer.name),))


def recording(digit: int) -> Events:
    return read_events(public(f"nmnist_small/test/{digit}/{RECORDINGS[digit]}.bin")).events


def differing(digit: int, run: Callable[[DynapcnnProgram, Events], Counts]) -> int:
    """Neurons whose count of spikes is not the chip's."""
    chip = np.load(record("speck2f_nmnist/speck_activity.npy"), allow_pickle=False)[0, digit]
    return int((run(first_layer(), recording(digit)) != chip).sum())


def as_simulated(program: DynapcnnProgram, events: Events) -> Counts:
    return np.asarray(program.run_events(events).spikes[program.layer_names[0]].sum(axis=(0, 1)))


def without_bound(program: DynapcnnProgram, events: Events) -> Counts:
    (layer,) = program.layers
    return as_simulated(replace(program, layers=(replace(layer, min_v=NO_BOUND),)), events)


def several_spikes(program: DynapcnnProgram, events: Events) -> Counts:
    """One event a step in time steps, so that a neuron fires as often as its threshold fits in."""
    frames = np.zeros((1, len(events), *program.input_shape), np.int64)
    frames[0, np.arange(len(events)), events["p"], events["y"], events["x"]] = 1
    return np.asarray(program.run(frames).spikes[program.layer_names[0]].sum(axis=(0, 1)))


def from_another_end(program: DynapcnnProgram, events: Events) -> Counts:
    before = program.run_events(recording(4)).states
    return np.asarray(program.run_events(events, states=before).spikes[program.layer_names[0]].sum(axis=(0, 1)))


def test_the_record_wants_the_lower_bound_at_every_event() -> None:
    assert differing(1, as_simulated) == 0
    assert differing(1, without_bound) > 100
    assert differing(4, without_bound) > 10 * differing(4, as_simulated)


def test_the_record_wants_states_at_zero_after_a_reset() -> None:
    assert differing(1, from_another_end) > 100


def test_the_record_says_nothing_of_several_spikes_where_no_weight_reaches_two_thresholds() -> None:
    """So the question `one_spike` is still worth its place: this network could not have told."""
    (layer,) = first_layer().layers
    reaches = int(layer.weight.max()) + layer.threshold - 1 >= 2 * layer.threshold
    assert reaches == (differing(1, several_spikes) > 0)


@pytest.mark.parametrize("name", ["sweep", "zero_weights", "overflow", "outside_pool", "merge"])
def test_a_first_layer_cannot_answer_what_is_asked(name: str) -> None:
    """Every value gives the record's counts of digit 1: the point is open, and so there is a question for it."""
    assert name in {question.settles for question in questions()}
    for value in choices()[name]:

        def run(program: DynapcnnProgram, events: Events, value: str = value) -> Counts:
            options = EventOptions(**{name: value})  # type: ignore[arg-type]
            return np.asarray(
                program.run_events(events, options=options).spikes[program.layer_names[0]].sum(axis=(0, 1))
            )

        assert differing(1, run) == 0
