"""Hardware-in-the-loop evaluation against a fake board: a program whose `run_on("board")` is not the chip but a fault.

python examples/hil_fake_board.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from i2e_deploy.chips import Trace, get
from i2e_deploy.chips.dynapcnn.program import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.program_file import read_program
from i2e_deploy.chips.trace import Integers
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, chain
from i2e_deploy.reporting.junit import junit_xml
from i2e_deploy.runtime.agreement import HilEvaluation, evaluate_targets


class FakeBoard(DynapcnnProgram):
    """Its board is the simulator with one output neuron stuck: the kind of fault that a comparison must find."""

    def run_on(self, target: str, frames: Integers, semantics: str = "timestep") -> Trace:
        """See `Program.run_on`."""
        trace = self.run(frames, semantics)
        output = trace.output.copy()
        output[:, :, 0] = 0
        last = self.layer_names[-1]
        spikes = {**trace.spikes, last: trace.spikes[last].copy()}
        spikes[last][:, :, 0] = 0
        return replace(trace, output=output, spikes=spikes)


def main() -> HilEvaluation:
    """Evaluate a small random network on the simulator and on the fake board."""
    random = np.random.default_rng(0)
    neuron = IntegrateAndFire(1.0, -1.0)
    network = chain(
        (2, 16, 16),
        {
            "conv": Conv2d(random.normal(0.1, 0.3, (4, 2, 3, 3)).astype(np.float32), stride=(2, 2), padding=(1, 1)),
            "conv_neurons": neuron,
            "flat": Flatten(),
            "readout": Linear(random.normal(0.02, 0.1, (5, 256)).astype(np.float32)),
            "readout_neurons": neuron,
        },
    )
    program = read_program(*get("speck2f").lower(network).to_tensors())
    frames = random.integers(0, 2, (40, 8, 2, 16, 16)).astype(np.int32)
    labels = program.run(frames).decisions()
    fake = FakeBoard(program.input_shape, program.layers, program.outputs)
    result = evaluate_targets(fake, frames, labels, ["simulator", "board"])
    for name, row in result.to_dict()["targets"].items():
        low, high = row["interval95"]
        print(f"{name:10s} accuracy {100 * row['accuracy']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})")
    print(result.agreements[0].divergence or "every spike equal")
    print(junit_xml(result, min_agreement=0.9))
    return result


if __name__ == "__main__":
    main()
