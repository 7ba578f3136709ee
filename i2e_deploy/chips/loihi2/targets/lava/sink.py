"""A Lava process that keeps what it receives in memory and writes it as one `.npy` file in the last step.

Lava's own RingBuffer sink is read element by element, 35 us each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class FileSink(AbstractProcess):  # type: ignore[misc]
    """Receives `steps` messages of `shape` and writes [steps, *shape] to `path`."""

    def __init__(self, *, shape: tuple[int, ...], steps: int, path: str) -> None:
        super().__init__(shape=shape, steps=steps, path=path)
        self.a_in = InPort(shape=shape)


@implements(proc=FileSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyFileSinkModel(PyLoihiProcessModel):  # type: ignore[misc]
    """On the CPU."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.path = proc_params["path"]
        self.rows = np.zeros((proc_params["steps"], *proc_params["shape"]), np.int32)

    def run_spk(self) -> None:
        """One step."""
        self.rows[self.time_step - 1] = self.a_in.recv()
        if self.time_step == len(self.rows):
            np.save(self.path, self.rows)
