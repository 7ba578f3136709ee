"""The part of the chip's configuration in front of the cores: pre-processing and event filter, see `config`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from i2e_deploy.chips.dynapcnn.peripherals import EventFilter
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Sensor

DESTINATIONS = 2


def front_sections(program: CoreNetwork, destinations: Sequence[Mapping[str, Any]], monitored: bool) -> dict[str, Any]:
    """`dvs_layer` and `dvs_filter`, and `factory_config` where there is a filter.

    Args:
        destinations: of the input, one a core that takes it.
        monitored: the chip sends pre-processed events out.

    Raises:
        UnsupportedError: a sensor feeds more cores than the chip has destinations for, or through pooling or a
            feature shift, for which its destinations have no field.
    """
    layer: dict[str, Any] = {"pass_sensor_events": False}
    if program.sensor is not None:
        if len(destinations) > DESTINATIONS:
            raise UnsupportedError(
                f"the pre-processed input feeds {len(destinations)} cores: the chip has {DESTINATIONS} destinations; "
                "let fewer layers take the input"
            )
        if any(row["pooling"] != 1 or "feature_shift" in row for row in destinations):
            raise UnsupportedError(
                "layers pool or shift the pre-processed input on its way: the chip has no field for that; pool in the "
                "Sensor layer"
            )
        targets = [{"layer": row["layer"], "enable": True} for row in destinations]
        layer = {**_sensor(program.sensor, program.input_shape), "destinations": targets}
    layer |= {"monitor_enable": monitored, "raw_monitor_enable": False}
    if program.event_filter is None:
        return {"dvs_layer": layer, "dvs_filter": {"enable": False}}
    return {
        "dvs_layer": layer,
        "dvs_filter": _filter(program.event_filter),
        "factory_config": {"dvs_filter": {"filter_clk_enable": True}},
    }


def _sensor(sensor: Sensor, shape: tuple[int, int, int]) -> dict[str, Any]:
    """As sinabs 3.1.3 dvs_layer.py `get_config_dict`; `cut` is inclusive and in pooled pixels."""
    (top, bottom), (left, right) = sensor.window(shape)
    return {
        "merge": sensor.merge_polarities,
        "mirror": {"x": sensor.flip_x, "y": sensor.flip_y},
        "mirror_diagonal": sensor.swap_xy,
        "cut": {"x": right - 1, "y": bottom - 1},
        "origin": {"x": left, "y": top},
        "pooling": {"x": sensor.pool[1], "y": sensor.pool[0]},
        "pass_sensor_events": sensor.pixel_array,
        "on_channel": sensor.keep != "off",
        "off_channel": sensor.keep != "on",
    }


def _filter(event_filter: EventFilter) -> dict[str, Any]:
    """Speck Dev Kit Datasheet (Aug 2023), 3.2.3.5; the window is 0 in low-pass mode."""
    height, width = (0, 0) if event_filter.mode == "low_pass" else event_filter.window
    return {
        "enable": True,
        "filter_size": {"x": width, "y": height},
        "threshold": event_filter.threshold,
        "hot_pixel_filter_enable": event_filter.mode == "hot_pixel",
        "low_pass_mode_enable": event_filter.mode == "low_pass",
        "internal_slow_clk": False,
    }
