"""Networks whose weights the chip has: every spike of every layer is the float network's."""

from __future__ import annotations

import numpy as np
import pytest
from truenorth_networks import draw, frames

from i2e_deploy.chips import get
from i2e_deploy.runtime.float_target import run_float


@pytest.mark.parametrize("seed", range(40))
def test_representable_networks_send_the_spikes_of_the_float_network(seed: int) -> None:
    """Agreement: exact, a tick later a layer."""
    network = draw(seed)
    report = get("truenorth").check(network)
    program = get("truenorth").lower(network)
    given = frames(network, seed, 3, 20)
    trace, wanted = program.run(given), run_float(network, program, given)
    assert [f for f in report.findings if f.rule == "loss" and "nothing" in str(f.value)], report
    for name, spikes in wanted.spikes.items():
        assert np.array_equal(trace.spikes[name], spikes), name
    assert np.array_equal(trace.output, wanted.output)
    assert np.array_equal(trace.read if trace.read is not None else trace.output,
                          wanted.read if wanted.read is not None else wanted.output)  # fmt: skip
