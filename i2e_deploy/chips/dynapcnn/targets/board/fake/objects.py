"""samna's events and configuration, as far as the board target uses them; field names as in samna's documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Fields:
    """An object that keeps what is set on it; a field not set before is another such object."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = Fields()
        object.__setattr__(self, name, made)
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        pair = isinstance(value, Mapping) and value.keys() == {"x", "y"}  # samna makes an object of such a mapping
        if pair:
            made = Fields()
            made.x, made.y = value["x"], value["y"]
        object.__setattr__(self, name, made if pair else value)

    def fields(self) -> dict[str, Any]:
        """What was set, as plain data."""
        return {name: _plain(value) for name, value in vars(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Fields):
        return value.fields()
    return [_plain(item) for item in value] if isinstance(value, list) else value


class SpeckConfiguration(Fields):
    """Nine cores and a sensor, with two destinations each."""

    def __init__(self) -> None:
        self.cnn_layers = [Fields() for _ in range(9)]
        self.dvs_layer = Fields()
        parts: list[Any] = [*self.cnn_layers, self.dvs_layer]
        for part in parts:
            part.monitor_enable = False
            part.destinations = [Fields(), Fields()]
            for destination in part.destinations:
                destination.enable, destination.pooling, destination.feature_shift = False, 1, 0


@dataclass
class Spike:
    """An event to a core, or from one."""

    layer: int = 0
    feature: int = 0
    y: int = 0
    x: int = 0
    timestamp: int = 0


@dataclass
class DvsEvent:
    """An event of the sensor."""

    timestamp: int = 0
    x: int = 0
    y: int = 0
    p: bool = False


@dataclass
class ReadNeuronValue:
    """Asks for the state of a neuron."""

    layer: int = 0
    address: int = 0


@dataclass
class WriteNeuronValue:
    """Sets the state of a neuron."""

    layer: int = 0
    address: int = 0
    neuron_state: int = 0


@dataclass
class NeuronValue:
    """The answer to a `ReadNeuronValue`; it has no time stamp."""

    layer: int = 0
    address: int = 0
    neuron_state: int = 0


@dataclass
class ReadoutPinValue:
    """What the readout pins show when an interrupt rises: the class, from 1."""

    index: int = 0
    timestamp: int = 0


@dataclass(frozen=True)
class DeviceInfo:
    """An attached board."""

    device_type_name: str
    usb_bus_number: int
    usb_device_address: int
    serial_number: str = "fake"


@dataclass(frozen=True)
class Measurement:
    """A reading of the power monitor: watts of one rail."""

    channel: int
    value: float
    timestamp: int
