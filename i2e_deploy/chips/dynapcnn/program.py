"""The integers of a DYNAP-CNN chip: one `CoreLayer` a core."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.base import Program, check_frames, check_states
from i2e_deploy.chips.dynapcnn.event.options import EventOptions
from i2e_deploy.chips.dynapcnn.peripherals.event_filter import EventFilter
from i2e_deploy.chips.dynapcnn.peripherals.preprocess import preprocess_frames
from i2e_deploy.chips.dynapcnn.peripherals.readout import CLASSES, SPACING, Readout, spread
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.network import INPUT, Sensor

if TYPE_CHECKING:
    from i2e_deploy.chips.dynapcnn.board.options import BoardOptions

Pair = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """Where events come from: a layer (or `"input"`), summed over `pool` windows on the way.

    Args:
        layer: name of the layer, or `"input"`.
        pool: windows (vertical, horizontal).
        feature_shift: added to the feature number, so that several layers can feed one side by side.
    """

    layer: str
    pool: Pair = (1, 1)
    feature_shift: int = 0


@dataclass(frozen=True, eq=False)
class CoreLayer:
    """One core.

    Args:
        name: unique in the program.
        sources: what feeds it; several are added up.
        weight: int8 [C_out, C_in, kH, kW], cross-correlation.
        bias: int8 or int16 [C_out], added once a step, or None.
        threshold: 1..32767; a neuron with `v >= threshold` fires.
        min_v: -32768..0, lower bound of the state, applied after the reset.
        max_spikes: most spikes of one neuron in one step; None = as many as the threshold fits in.
        reset: after n spikes take off n thresholds, or set to zero.
        input_shape: (C, H, W) after pooling.
        output_shape: (C, H, W) of the neurons.
        decimation: the core passes one of so many spikes on; 1 = all. Only `event` semantics know it.
    """

    name: str
    sources: tuple[Source, ...]
    weight: NDArray[np.int8]
    bias: NDArray[np.int8] | NDArray[np.int16] | None
    stride: Pair
    padding: Pair
    threshold: int
    min_v: int
    max_spikes: int | None
    reset: Literal["subtract", "zero"]
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    decimation: int = 1


@dataclass(frozen=True, eq=False)
class DynapcnnProgram(Program):
    """A whole network as integers.

    Args:
        input_shape: (C, H, W) of the events that go in, before any pre-processing.
        outputs: what leaves the network, one behind the other.
        sensor: pre-processing between the pixels and the first layer; None: events reach it as they are.
        event_filter: noise filter behind the pre-processing. Only `event` semantics know it.
        readout: the chip's own readout takes the output; see `with_readout`.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[CoreLayer, ...]
    outputs: tuple[Source, ...]
    sensor: Sensor | None = None
    event_filter: EventFilter | None = None
    readout: Readout | None = None

    @property
    def layer_names(self) -> tuple[str, ...]:
        """See `Program.layer_names`."""
        return tuple(layer.name for layer in self.layers)

    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """(C, H, W) of the input as it reaches the cores, and of every layer, by name."""
        reaching = self.input_shape if self.sensor is None else self.sensor.shape(self.input_shape)
        return {INPUT: reaching, **{layer.name: layer.output_shape for layer in self.layers}}

    def run(
        self,
        frames: Integers,
        semantics: str = "timestep",
        engine: str = "fast",
        states: States | None = None,
        options: EventOptions | None = None,
    ) -> Trace:
        """See `Program.run`.

        `semantics="timestep"` equals Sinabs' discretised network bit for bit; `"event"` is the asynchronous chip
        as documented, with `options` for what is not.

        Raises:
            UnsupportedError: a decimator or an event filter in `timestep`.
        """
        if semantics not in ("timestep", "event"):
            raise InputError(f"semantics {semantics!r}: choose one of timestep, event")
        if engine not in ("fast", "reference"):
            raise InputError(f"engine {engine!r}: choose one of fast, reference")
        check_frames(frames, self.input_shape)
        if states is not None:
            check_states(states, self._state_shapes(semantics), len(frames))
        if semantics == "event":
            from i2e_deploy.chips.dynapcnn.event.run import run_events

            return run_events(self, frames, engine, EventOptions() if options is None else options, states)
        decimated = [layer.name for layer in self.layers if layer.decimation > 1]
        if decimated:
            raise UnsupportedError(f"layers {decimated} have a decimator, which counts events: use semantics 'event'")
        if self.event_filter is not None:
            raise UnsupportedError("the event filter compares the times of events: use semantics 'event'")
        if self.sensor is not None:
            frames = preprocess_frames(self.sensor, frames)
        if engine == "fast":
            from i2e_deploy.chips.dynapcnn.timestep.engine import run_engine as run
        else:
            from i2e_deploy.chips.dynapcnn.timestep.reference import run_reference as run
        trace = run(self, frames, states)
        return replace(trace, output=self.classes(trace.output))

    def run_events(
        self,
        given: Integers | Events,
        engine: str = "fast",
        states: States | None = None,
        options: EventOptions | None = None,
    ) -> Trace:
        """Frames as `run(semantics="event")`, or a recording, each event at its own time: a `Trace` with one sample.

        Args:
            given: frames, or at least one event; the first is the start of time, a step lasts `options.step_us`.

        Raises:
            InputError: an event outside the input, or see `run`.
        """
        from i2e_deploy.chips.dynapcnn.event.injection import from_start
        from i2e_deploy.chips.dynapcnn.event.run import run_recordings

        if given.dtype.names is None:
            return self.run(cast("Integers", given), "event", engine, states, options)
        if engine not in ("fast", "reference"):
            raise InputError(f"engine {engine!r}: choose one of fast, reference")
        if states is not None:
            check_states(states, self._state_shapes("event"), 1)
        options = EventOptions() if options is None else options
        events, steps = from_start(self.merged(cast("Events", given)), options.step_us)
        return run_recordings(self, [events], steps, options, engine, states)

    def count(self, events: Events, step_us: int) -> Integers:
        """A recording counted into steps, as `run` takes it; see `injection.count_events`."""
        from i2e_deploy.chips.dynapcnn.event.injection import count_events

        return count_events(self.merged(events), self.input_shape, step_us)

    def merged(self, events: Events) -> Events:
        """A recording as it goes in: one polarity where a merging sensor takes one channel, as Sinabs' does."""
        if self.sensor is None or not self.sensor.merge_polarities or self.input_shape[0] > 1:
            return events
        merged = events.copy()
        merged["p"] = 0
        return merged

    def run_on(
        self,
        target: str,
        frames: Integers | Events,
        semantics: str = "timestep",
        step_us: int = 1000,
        board: BoardOptions | None = None,
    ) -> Trace:
        """See `Program.run_on`: `board` is a Speck board through samna; unverified on silicon.

        The chip is asynchronous, whatever `semantics` says; a recording runs at its own times, as in `run_events`.
        `board` says the duration of a step too, where it is given.
        See `board.run.run_board` for what comes back and what raises.
        """
        kind, _, name = target.partition(":")
        if kind != "board":
            raise UnsupportedError(f"target {target!r}: choose one of simulator, reference, board, board:NAME")
        from i2e_deploy.chips.dynapcnn.board.options import BoardOptions
        from i2e_deploy.chips.dynapcnn.board.run import run_board

        if frames.dtype.names is None:
            check_frames(cast("Integers", frames), self.input_shape)
        options = BoardOptions(events=EventOptions(step_us=step_us)) if board is None else board
        return run_board(self, frames, replace(options, name=name) if name else options)

    def semantics_on(self, target: str, semantics: str) -> str:
        """See `Program.semantics_on`: the chip itself knows no steps."""
        return "event" if target.partition(":")[0] == "board" else semantics

    def session(self, semantics: str = "timestep") -> Session:
        """See `Program.session`."""
        from i2e_deploy.chips.dynapcnn.timestep.session import TimestepSession

        if semantics != "timestep" or self.counts_events or self.sensor is not None or self.readout is not None:
            return Session(self, semantics)
        return TimestepSession(self)

    def _state_shapes(self, semantics: str) -> dict[str, dict[str, tuple[int, ...]]]:
        shapes: dict[str, dict[str, tuple[int, ...]]] = {
            layer.name: {"v_mem": layer.output_shape} for layer in self.layers
        }
        for layer in self.layers:
            if semantics == "event" and layer.decimation > 1:
                shapes[layer.name]["fired"] = ()
        if semantics == "event" and self.event_filter is not None:
            shapes[INPUT] = {"last": self.shapes()[INPUT][1:]}
        return shapes

    def with_readout(self, readout: Readout) -> DynapcnnProgram:
        """The program with the chip's readout behind its output layer, silent channels between the classes.

        `Trace.output` has the classes alone, as before; `readout.read_out` says what the block makes of it.

        Raises:
            UnsupportedError: several outputs, an output of more than one pixel, or of more than 15 classes.
        """
        names = {source.layer for source in self.outputs}
        last = next(layer for layer in self.layers if layer.name in names)
        if len(self.outputs) > 1 or last.output_shape[0] > CLASSES:
            raise UnsupportedError(
                f"outputs {sorted(names)}, the first of shape {last.output_shape}: the readout takes one layer of at "
                f"most {CLASSES} neurons (classes), e.g. a linear one; otherwise count spikes on the host"
            )
        if last.output_shape[1:] != (1, 1):
            raise UnsupportedError(
                f"layer {last.name!r} has {last.output_shape[1]}x{last.output_shape[2]} pixels: the datasheet names "
                "modes for several (2x2, 2x4, 4x4), but which pixel is which class is not public; end the "
                "network in a linear layer, or count spikes on the host"
            )
        layers = tuple(spread(layer) if layer is last else layer for layer in self.layers)
        return replace(self, layers=layers, readout=readout)

    def classes(self, output: Integers) -> Integers:
        """What leaves the network [..., N]; with a readout the channels that it reads."""
        return output if self.readout is None else np.ascontiguousarray(output[..., ::SPACING])

    @property
    def counts_events(self) -> bool:
        """Whether a decimator or the event filter makes it a program for `event` semantics alone."""
        return self.event_filter is not None or any(layer.decimation > 1 for layer in self.layers)

    @property
    def has_bias(self) -> bool:
        """Whether any core has a bias, which the chip adds at each tick of its slow clock."""
        return any(layer.bias is not None for layer in self.layers)

    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """See `Program.to_tensors`."""
        tensors: dict[str, Integers] = {}
        rows = []
        for layer in self.layers:
            row = asdict(layer)
            for key in ("weight", "bias"):
                array = row.pop(key)
                if array is not None:
                    tensors[f"{layer.name}.{key}"] = array
            rows.append(row)
        outputs = [asdict(source) for source in self.outputs]
        data = {"input_shape": list(self.input_shape), "layers": rows, "outputs": outputs}
        front = {"sensor": self.sensor, "event_filter": self.event_filter, "readout": self.readout}
        return tensors, data | {name: asdict(record) for name, record in front.items() if record is not None}
