"""The integers of a DYNAP-CNN chip: one `CoreLayer` a core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.base import Program, check_frames, check_states
from i2e_deploy.chips.dynapcnn.event_filter import EventFilter
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.preprocess import preprocess_frames
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.network import INPUT, Sensor

Pair = tuple[int, int]

#: Neurons of one layer of a program read from a file; a core has at most 2^16.
MAX_NEURONS = 2**24


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
    """

    input_shape: tuple[int, int, int]
    layers: tuple[CoreLayer, ...]
    outputs: tuple[Source, ...]
    sensor: Sensor | None = None
    event_filter: EventFilter | None = None

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
        from i2e_deploy.chips.dynapcnn.engine import run_engine
        from i2e_deploy.chips.dynapcnn.event_run import run_events
        from i2e_deploy.chips.dynapcnn.reference import run_reference

        engines = {"fast": run_engine, "reference": run_reference}
        if semantics not in ("timestep", "event"):
            raise InputError(f"semantics {semantics!r}: choose one of timestep, event")
        if engine not in engines:
            raise InputError(f"engine {engine!r}: choose one of {', '.join(engines)}")
        check_frames(frames, self.input_shape)
        if states is not None:
            check_states(states, self._state_shapes(semantics), len(frames))
        if semantics == "event":
            return run_events(self, frames, engine, EventOptions() if options is None else options, states)
        decimated = [layer.name for layer in self.layers if layer.decimation > 1]
        if decimated:
            raise UnsupportedError(f"layers {decimated} have a decimator, which counts events: use semantics 'event'")
        if self.event_filter is not None:
            raise UnsupportedError("the event filter compares the times of events: use semantics 'event'")
        if self.sensor is not None:
            frames = preprocess_frames(self.sensor, frames)
        return engines[engine](self, frames, states)

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
        from i2e_deploy.chips.dynapcnn.event_run import run_recording

        if given.dtype.names is None:
            return self.run(cast("Integers", given), "event", engine, states, options)
        if engine not in ("fast", "reference"):
            raise InputError(f"engine {engine!r}: choose one of fast, reference")
        if states is not None:
            check_states(states, self._state_shapes("event"), 1)
        return run_recording(
            self, cast("Events", given), engine, EventOptions() if options is None else options, states
        )

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
        front = {"sensor": self.sensor, "event_filter": self.event_filter}
        return tensors, data | {name: asdict(record) for name, record in front.items() if record is not None}


def read_program(tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> DynapcnnProgram:
    """The inverse of `DynapcnnProgram.to_tensors`, with every value checked.

    Raises:
        FileFormatError: a key, a type, a shape or a range is wrong.
    """
    try:
        layers = tuple(_read_layer(row, tensors) for row in data["layers"])
        program = DynapcnnProgram(
            _shape(data["input_shape"]),
            layers,
            tuple(map(_source, data["outputs"])),
            _record(Sensor, data.get("sensor")),
            _record(EventFilter, data.get("event_filter")),
        )
        _check_graph(program)
    except InputError as error:
        raise FileFormatError(f"not a DYNAP-CNN program: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"not a DYNAP-CNN program: {type(error).__name__} at {error}") from error
    return program


def _read_layer(row: Mapping[str, Any], tensors: Mapping[str, Integers]) -> CoreLayer:
    name = str(row["name"])
    weight = tensors[f"{name}.weight"]
    bias: NDArray[Any] | None = tensors.get(f"{name}.bias")
    layer = CoreLayer(
        name=name,
        sources=tuple(map(_source, row["sources"])),
        weight=np.asarray(weight),
        bias=None if bias is None else np.asarray(bias),
        stride=_pair(row["stride"]),
        padding=_pair(row["padding"]),
        threshold=_integer(row["threshold"], 1, 2**15 - 1),
        min_v=_integer(row["min_v"], -(2**15), 0),
        max_spikes=None if row["max_spikes"] is None else _integer(row["max_spikes"], 1, 2**15),
        reset=row["reset"],
        input_shape=_shape(row["input_shape"]),
        output_shape=_shape(row["output_shape"]),
        decimation=_integer(row.get("decimation", 1), 1, 512),
    )
    if layer.reset not in ("subtract", "zero"):
        raise ValueError(f"reset {layer.reset!r} of layer {name!r}")
    if weight.dtype != np.int8 or weight.ndim != 4 or (bias is not None and bias.dtype not in (np.int8, np.int16)):
        raise ValueError(f"weights of layer {name!r}: {weight.dtype} {weight.shape}")
    if min(layer.weight.shape) < 1 or min(layer.stride) < 1 or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError(f"stride or bias of layer {name!r}")
    return layer


def _check_graph(program: DynapcnnProgram) -> None:
    """Shapes and sources agree from layer to layer."""
    shapes = {INPUT: program.shapes()[INPUT]}

    def pooled(source: Source) -> tuple[int, int, int]:
        c, h, w = shapes[source.layer]
        return c + source.feature_shift, h // source.pool[0], w // source.pool[1]

    for layer in program.layers:
        if layer.name in shapes or not layer.sources:
            raise ValueError(f"name or sources of layer {layer.name!r}")
        arriving = [pooled(source) for source in layer.sources]
        if any(c > layer.input_shape[0] or size != list(layer.input_shape[1:]) for c, *size in arriving):
            raise ValueError(f"input shape of layer {layer.name!r}")
        c, *size = layer.input_shape
        window = zip(size, layer.weight.shape[2:], layer.stride, layer.padding, strict=True)
        out = (layer.weight.shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in window))
        if layer.weight.shape[1] != c or out != layer.output_shape or min(out) < 1 or prod(out) > MAX_NEURONS:
            raise ValueError(f"output shape of layer {layer.name!r}")
        shapes[layer.name] = layer.output_shape
    if not program.outputs:
        raise ValueError("outputs are empty")
    for source in program.outputs:
        if min(pooled(source)) < 1:
            raise ValueError(f"output {source.layer!r} pooled by {source.pool} leaves nothing")


def _integer(value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{value!r}: expected an integer in {low}..{high}")
    return value


def _pair(value: Any) -> Pair:
    first, second = value
    return _integer(first, 0, 2**15), _integer(second, 0, 2**15)


def _shape(value: Any) -> tuple[int, int, int]:
    c, h, w = value
    return _integer(c, 1, 2**15), _integer(h, 1, 2**15), _integer(w, 1, 2**15)


def _source(row: Mapping[str, Any]) -> Source:
    pool = _pair(row["pool"])
    if min(pool) < 1:
        raise ValueError(f"pooling {pool}")
    return Source(str(row["layer"]), pool, _integer(row.get("feature_shift", 0), 0, 2**15))


def _record(kind: Any, data: Any) -> Any:
    """One of the records in front of the cores, from JSON; None stays None."""
    return None if data is None else kind(**{str(key): _tuples(value) for key, value in dict(data).items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
