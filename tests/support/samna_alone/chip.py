"""A stand-in for samna and a Speck board in Python's own library alone, for scripts that run without this project.

It is written after Speck's documentation, not after our engine: an event reaches its neurons at once, each neuron takes
its weight, is held at its lower bound, and fires once at or above its threshold; spikes go on depth first.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any


class Fields:
    """An object that keeps what is set on it."""

    enable: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = Fields()
        setattr(self, name, made)
        return made


class CoreFields(Fields):
    """A core's, with two destinations."""

    def __init__(self) -> None:
        self.destinations = [Fields(), Fields()]
        for destination in self.destinations:
            destination.enable = False


class SpeckConfiguration(Fields):
    """Nine cores."""

    def __init__(self) -> None:
        self.cnn_layers = [CoreFields() for _ in range(9)]


class Spike:
    layer = feature = y = x = timestamp = 0


class WriteNeuronValue:
    layer = address = neuron_state = 0


class Core:
    """One core: states by (f, y, x), and what an event does to them."""

    def __init__(self, fields: Any) -> None:
        self.fields, d = fields, fields.dimensions
        self.out = d["output_shape"]
        self.size = (self.out["feature_count"], self.out["size"]["y"], self.out["size"]["x"])
        self.kernel, self.stride, self.pad = d["kernel_size"], d["stride"], d["padding"]
        self.v: dict[tuple[int, int, int], int] = {}

    def set(self, address: int, value: int) -> None:
        """Feature in the lowest bits, then x, then y."""
        features, height, width = self.size
        low, middle = (features - 1).bit_length(), (width - 1).bit_length()
        f, x, y = address % 2**low, (address >> low) % 2**middle, address >> (low + middle)
        if f < features and x < width and y < height:
            self.v[f, y, x] = value

    def take(self, f_in: int, y: int, x: int) -> list[tuple[int, int, int]]:
        fired = []
        features, height, width = self.size
        for oy in range(height):
            for ox in range(width):
                ky, kx = y + self.pad["y"] - self.stride["y"] * oy, x + self.pad["x"] - self.stride["x"] * ox
                if not (0 <= ky < self.kernel and 0 <= kx < self.kernel):
                    continue
                for f in range(features):
                    weight = self.fields.weights[f][f_in][kx][ky]
                    if not weight:
                        continue
                    v = max(self.v.get((f, oy, ox), 0) + weight, self.fields.threshold_low)
                    if v >= self.fields.threshold_high:
                        v = 0 if self.fields.return_to_zero else v - self.fields.threshold_high
                        fired.append((f, oy, ox))
                    self.v[f, oy, ox] = v
        return fired


class Device:
    """The board: its model, stop watch and io module in one."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.cores: dict[int, Core] = {}

    def get_model(self) -> Device:
        return self

    get_source_node = get_sink_node = get_io_module = get_stop_watch = get_model

    def apply_configuration(self, configuration: SpeckConfiguration) -> None:
        used = {n: core for n, core in enumerate(configuration.cnn_layers) if "weights" in vars(core)}
        self.cores = {n: Core(fields) for n, fields in used.items()}

    def write(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, WriteNeuronValue):
                self.cores[event.layer].set(event.address, event.neuron_state)
            else:
                self.into(event.layer, event.feature, event.y, event.x, event.timestamp)

    def into(self, number: int, f_in: int, y: int, x: int, t: int) -> None:
        core = self.cores[number]
        for f, oy, ox in core.take(f_in, y, x):
            if core.fields.monitor_enable:
                spike: Any = Spike()
                spike.layer, spike.feature, spike.y, spike.x, spike.timestamp = number, f, oy, ox, t
                self.sent.append(spike)
            for destination in core.fields.destinations:
                if destination.enable:
                    pool = destination.pooling
                    self.into(destination.layer, f, oy // pool, ox // pool, t)

    def get_events(self) -> list[Any]:
        sent, self.sent = self.sent, []
        return sent

    def reset(self) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...


def install(
    modules: dict[str, Any], boards: tuple[str, ...] = ("Speck2fDevKit",), refuses: str = ""
) -> SimpleNamespace:
    """Put it into `sys.modules`; time flies, so that a script need not wait."""
    board, closed = Device(), list[Any]()
    infos = [SimpleNamespace(device_type_name=name) for name in boards]
    event = SimpleNamespace(Spike=Spike, WriteNeuronValue=WriteNeuronValue)
    chip = SimpleNamespace(
        configuration=SimpleNamespace(SpeckConfiguration=SpeckConfiguration),
        event=event,
        validate_configuration=lambda _: (not refuses, refuses),
    )
    made = SimpleNamespace(
        __version__="0.46.stand-in", speck2f=chip, speck2e=chip, board=board, closed=closed,
        device=SimpleNamespace(
            get_all_devices=lambda: infos, get_unopened_devices=lambda: infos,
            open_device=lambda info: board, close_device=closed.append,
        ),
        graph=SimpleNamespace(sink_from=lambda node: node, source_to=lambda node: node),
    )  # fmt: skip
    modules["samna"] = made
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    setattr(time, "monotonic", lambda: now[0])  # noqa: B010
    setattr(time, "sleep", sleep)  # noqa: B010
    return made
