"""A public record of a Loihi 2, run again: one leaking neuron (NIR paper, task 1, `Loihi2HwCfg`).

The file is `loihi2_lif/lif_lava_loihi_fixed.csv`, a row a step: input spike, voltage, output spike.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.recorded import Recorded, needed
from i2e_deploy.errors import FileFormatError
from i2e_deploy.files import check_exists

RECORDS = "the records (--records, I2E_DEPLOY_RECORDS)"
#: Largest file that is read, bytes.
MAX_BYTES = 2**20

Replayed = tuple[Recorded, ...]


def lif_neuron(records: Path | None, data: Path | None, semantics: str) -> Replayed:
    """One neuron of dt / tau = 1e-4 / 2.5e-3 and threshold 0.1.

    As integers one input adds 10, the decay is 163 of 4096 and the threshold 25: the first voltages of the record (640,
    614, 589, ...) say so.
    """
    path = needed(records, "loihi2_lif/lif_lava_loihi_fixed.csv", RECORDS)
    check_exists(path, MAX_BYTES)
    try:
        rows = [[int(float(cell)) for cell in line.split(",")] for line in path.read_text(encoding="ascii").split()]
        given, voltage, fired = np.array(rows, np.int64).T
    except (ValueError, OverflowError) as error:
        raise FileFormatError(f"{path} is not rows of input, voltage and spike: {error}") from error
    block = Block(
        "lif", CubaLif(np.array([4096]), np.array([163]), 25), (1,),
        (Connection(SOURCE, DenseSynapse(np.array([[10]]))),),
    )  # fmt: skip
    program, states, seen, spikes = LoihiProgram(BlockNetwork((1,), (block,))), None, [], []
    for step in given:
        trace = program.run(np.array([[[step]]]), semantics, states=states)
        states = trace.states
        seen.append(int(states["lif"]["v"][0, 0]))
        spikes.append(int(trace.output[0, 0, 0]))
    return (
        Recorded("output, step by step", "spikes", np.array(spikes), fired),
        Recorded("voltage, step by step", "voltage", np.array(seen), voltage),
    )


#: By the name that the profile gives them.
REPLAYS: dict[str, Callable[[Path | None, Path | None, str], Replayed]] = {"lif-neuron": lif_neuron}
