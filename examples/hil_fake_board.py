"""Hardware-in-the-loop evaluation without hardware: the same samples on the simulator and on a fake Speck board.

The fake speaks the objects of the vendor's library, so everything up to it runs as it would with a board. First it
works, then it loses every twentieth event: the kind of fault that a comparison must find.

python examples/hil_fake_board.py
"""

from __future__ import annotations

import numpy as np

import i2e_deploy as i2e
from i2e_deploy.chips.dynapcnn import Faults, fake_samna
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, chain


def make_network(random: np.random.Generator, size: int) -> Network:
    """A small random network on 2 x size x size pixels."""
    neuron, hidden = IntegrateAndFire(1.0, -1.0), 3 * (size // 2) ** 2
    return chain(
        (2, size, size),
        {
            "conv": Conv2d(random.normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32), stride=(2, 2), padding=(1, 1)),
            "conv_neurons": neuron,
            "flat": Flatten(),
            "readout": Linear(random.normal(0.05, 0.3, (4, hidden)).astype(np.float32)),
            "readout_neurons": neuron,
        },
    )


def main(faults: Faults) -> i2e.runtime.Evaluation:
    """Evaluate on the simulator and on a fake board with these faults; prints what a CI would keep."""
    random = np.random.default_rng(0)
    program = i2e.chips.get("speck2f").lower(make_network(random, 16))
    frames = random.integers(0, 2, (40, 8, 2, 16, 16)).astype(np.int32)
    labels = program.run(frames, "event").decisions()
    with fake_samna(faults=faults):
        result = i2e.runtime.evaluate(program, frames, labels, ["simulator", "board"], "event")
    print(result)  # accuracies, agreement, and where the two part first
    for each in result.results:
        power = "no power monitor" if each.power is None else f"{1e3 * each.power.total_w:.2f} mW"
        print(f"{each.target}: {power}, {dict(each.incidents) or 'no incidents'}")
    print(i2e.reporting.junit_xml(result, min_agreement=0.9))
    return result


if __name__ == "__main__":
    main(Faults())
    main(Faults(lose_every=20))
