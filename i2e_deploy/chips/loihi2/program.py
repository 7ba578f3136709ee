"""The integers of a Loihi 2 program, and how to run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from i2e_deploy.chips.base import Program, check_states
from i2e_deploy.chips.loihi2.inputs import flat_frames, semantics_named
from i2e_deploy.chips.loihi2.layers import layers_of
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.blocks import BlockNetwork


@dataclass(frozen=True, eq=False)
class LoihiProgram(Program):
    """A network of integer blocks; see `BlockNetwork`."""

    network: BlockNetwork

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of one frame: (C, H, W) or (N,)."""
        return self.network.input_shape

    @property
    def layer_names(self) -> tuple[str, ...]:
        """See `Program.layer_names`."""
        return tuple(block.name for block in self.network.blocks)

    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        """See `Program.run`. States hold the currents in flight too, and the step where a layer has resets.

        Args:
            frames: integers [B, T, *input_shape], or any shape after [B, T] with as many values. Signed values are
                taken by networks with an input layer or `input_message_bits` > 0.
            semantics: `"chip"` (also `"timestep"`) runs the integers of the program; `"lava"` runs what netx and
                Lava's `fixed_pt` models make of them, bit for bit. They differ where `check` reports a defect.
            engine: see `Program.run`.
        """
        from i2e_deploy.chips.loihi2.engine.simulator import run_engine
        from i2e_deploy.chips.loihi2.neurons import state_shapes
        from i2e_deploy.chips.loihi2.reference import run_reference

        semantics = semantics_named(semantics)
        if engine not in ("fast", "reference"):
            raise InputError(f"engine {engine!r}: choose one of fast, reference")
        flat = flat_frames(frames, self.network)
        if states is not None:
            check_states(states, state_shapes(layers_of(self.network, semantics)), frames.shape[0])
        return (run_engine if engine == "fast" else run_reference)(self.network, flat, semantics, states)

    def session(self, semantics: str = "timestep") -> Session:
        """See `Program.session`; semantics as in `run`."""
        from i2e_deploy.chips.loihi2.engine.session import StreamSession

        return StreamSession(self, self.network, semantics)

    def run_on(self, target: str, frames: Integers, semantics: str = "timestep", step_us: int = 1000) -> Trace:
        """See `Program.run_on`: `lava` is Lava's CPU models, `board` the chip through Intel's extension."""
        from i2e_deploy.chips.loihi2.lava.run import run_lava

        if target not in ("lava", "board"):
            raise UnsupportedError(f"target {target!r}: choose one of simulator, lava, board")
        mode = "chip" if semantics == "timestep" else semantics
        return run_lava(self.network, flat_frames(frames, self.network), mode, hardware=target == "board")

    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """See `Program.to_tensors`."""
        from i2e_deploy.network.block_file import to_tensors

        return to_tensors(self.network)


def read_program(tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> LoihiProgram:
    """The inverse of `LoihiProgram.to_tensors`.

    Raises:
        FileFormatError: a key, a type, a shape or a range is wrong.
    """
    from i2e_deploy.network.block_file import from_tensors

    return LoihiProgram(from_tensors(tensors, data))
