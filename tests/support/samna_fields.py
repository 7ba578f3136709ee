"""A recording stand-in for samna's configuration that has the published fields and no others, as its classes have.

Names: Speck Dev Kit Datasheet (Aug 2023), 3.2.2 and the sections after it; samna's reference of `CnnLayerConfig`.
"""

from __future__ import annotations

from typing import Any

_XY = ("x", "y")
CORE = (
    "biases", "dimensions", "input_congestion_balancer_enable", "leak_enable", "leak_internal_slow_clk_enable",
    "monitor_enable", "neurons_initial_value", "output_decimator_enable", "output_decimator_interval",
    "return_to_zero", "threshold_high", "threshold_low", "weights",
)  # fmt: skip
DVS_LAYER = ("merge", "mirror_diagonal", "monitor_enable", "off_channel", "on_channel", "pass_sensor_events",
             "raw_monitor_enable")  # fmt: skip
DVS_FILTER = ("enable", "hot_pixel_filter_enable", "internal_slow_clk", "low_pass_mode_enable", "threshold")
READOUT = (
    "enable", "internal_slow_clk", "low_pass_filter32_not16", "low_pass_filter_disable", "monitor_enable",
    "output_mode_sel", "output_neuron_num", "override_threshold_max", "readout_configuration_sel",
    "readout_pin_monitor_enable", "threshold",
)  # fmt: skip


class Record:
    """An object with these fields and parts; anything else raises AttributeError, as pybind's classes do."""

    _fields: tuple[str, ...]
    _set: dict[str, Any]

    def __init__(self, fields: tuple[str, ...], **parts: Any) -> None:
        object.__setattr__(self, "_fields", fields)
        object.__setattr__(self, "_set", {})
        for name, part in parts.items():
            object.__setattr__(self, name, part)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._fields:
            raise AttributeError(f"no attribute {name!r}")
        self._set[name] = value

    def flat(self, prefix: str = "") -> dict[str, Any]:
        """What was set, by path."""
        found = {prefix + name: value for name, value in self._set.items()}
        for name, part in vars(self).items():
            if name in ("_fields", "_set"):
                continue
            parts = enumerate(part) if isinstance(part, list) else [("", part)]
            for i, each in parts:
                place = f"[{i}]" if isinstance(part, list) else ""
                found |= each.flat(f"{prefix}{name}{place}.")
        return found


def configuration() -> Record:
    """What `SpeckConfiguration()` gives."""

    def core() -> Record:
        to = [Record(("layer", "enable", "pooling", "feature_shift")) for _ in range(2)]
        return Record(CORE, destinations=to)

    pairs = {name: Record(_XY) for name in ("mirror", "origin", "cut", "pooling")}
    to = [Record(("layer", "enable")) for _ in range(2)]
    factory = Record(("io_sel", "internal_slow_clk_divider"), dvs_filter=Record(("filter_clk_enable",)))
    return Record(
        (),
        cnn_layers=[core() for _ in range(9)],
        dvs_layer=Record(DVS_LAYER, destinations=to, **pairs),
        dvs_filter=Record(DVS_FILTER, filter_size=Record(_XY)),
        readout=Record(READOUT),
        factory_config=factory,
    )


def flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    """Our JSON by the same paths."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict) and name != "dimensions":
            found |= flatten(value, f"{prefix}{name}.")
        elif name == "destinations":
            for i, row in enumerate(value):
                found |= flatten(row, f"{prefix}destinations[{i}].")
        else:
            found[prefix + name] = value
    return found
