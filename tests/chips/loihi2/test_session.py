"""A session of a Loihi 2 program, step by step, equals the whole run."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network

from i2e_deploy.chips.loihi2.runnable import LoihiProgram


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_steps_equal_the_whole_run(seed: int) -> None:
    network = draw_network(seed)
    program, frames = LoihiProgram(network), draw_frames(network, seed, steps=6)
    whole, session = program.run(frames, engine="reference"), program.session()
    outputs = [session.step(frame) for frame in frames[0]]
    np.testing.assert_array_equal(np.stack(outputs), whole.output[0])
    counts = session.counts()
    assert {name: count.spikes for name, count in counts.items()} == {n: c.spikes for n, c in whole.counts.items()}
    session.start()
    np.testing.assert_array_equal(session.step(frames[0, 0]), outputs[0])
