"""The complete configuration of a chip as JSON, written without samna.

Schema (version 1). `cnn_layers` has an entry per used core, by its number as a string; field names are those of
samna's configuration object (Speck Dev Kit Datasheet, Aug 2023, 3.2.2), which `targets.board.setup.apply` sets:

    dimensions            input_shape, output_shape {size {x, y}, feature_count}, padding, stride {x, y}, kernel_size
    weights               int8 [f_out][c_in][kx][ky]: columns before rows
    biases                int [f_out]
    leak_enable           a bias that is not all zero
    return_to_zero        reset to zero instead of taking the threshold off
    threshold_high, threshold_low
    neurons_initial_value int16 [f][x][y], or 0 for all zero
    monitor_enable        send the core's spikes out
    destinations          up to two of {layer, enable, pooling, feature_shift}
    output_decimator_enable, output_decimator_interval
    input_congestion_balancer_enable, leak_internal_slow_clk_enable     false: neither is simulated

`dvs_layer`, `dvs_filter`, `readout`, `factory_config` hold what the simulation depends on, written out even where it is
off, since no public text gives the chip's defaults; every other field keeps its default. `layers` says which layer is
on which core, `input_cores` which of them take the input: from `dvs_layer` where its `destinations` name them, else
from events sent to each.

    dvs_layer    merge, mirror {x, y}, mirror_diagonal, origin, cut {x, y} (inclusive, pooled pixels), pooling {x, y},
                 on_channel, off_channel, pass_sensor_events, monitor_enable, raw_monitor_enable,
                 destinations of {layer, enable}
    readout      enable, readout_configuration_sel, output_mode_sel, output_neuron_num, threshold,
                 override_threshold_max, low_pass_filter_disable, low_pass_filter32_not16, readout_pin_monitor_enable,
                 monitor_enable (false: it would take the place of all spikes), internal_slow_clk (false);
                 its core has destination 12
    dvs_filter   enable, filter_size {x, y}, threshold, hot_pixel_filter_enable, low_pass_mode_enable,
                 internal_slow_clk (false)
    factory_config  dvs_filter.filter_clk_enable, where there is a filter
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.peripherals import DESTINATION, ONE_PIXEL, EventFilter, Readout
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import INPUT, Sensor

FORMAT, FORMAT_VERSION = "i2e-deploy-dynapcnn-configuration", 1
#: Cores that the pre-processing feeds.
DESTINATIONS = 2
#: `output_decimator_interval` and the spikes of which one passes (Datasheet 2.4: no 64).
DECIMATION = {2: 0, 4: 1, 8: 2, 16: 3, 32: 4, 128: 5, 256: 6, 512: 7}


def build_config(
    program: CoreNetwork, cores: Mapping[str, int], chip: str, monitor: Sequence[str] | None = None
) -> dict[str, Any]:
    """Plain data for JSON.

    Args:
        cores: the core of every layer, as `place` gives them.
        chip: name of the profile.
        monitor: layers whose spikes are sent out, `"input"` for pre-processed events; default what leaves the network.

    Raises:
        UnsupportedError: a kernel or a pooling that is not square, a decimation that the chip lacks.
    """
    watched = {source.layer for source in program.outputs} if monitor is None else set(monitor)
    destinations = _destinations(program, cores)
    layers = {
        str(cores[layer.name]): _core(layer, destinations[layer.name], layer.name in watched)
        for layer in program.layers
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "chip": chip,
        "layers": dict(cores),
        "cnn_layers": layers,
        **_front(program, destinations[INPUT], INPUT in watched),
        "readout": {"enable": False} if program.readout is None else _readout(program.readout),
        "input_cores": sorted(cores[layer.name] for layer in program.layers if _takes_input(layer)),
    }


def _takes_input(layer: CoreLayer) -> bool:
    return any(source.layer == INPUT for source in layer.sources)


def _destinations(program: CoreNetwork, cores: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
    """What every layer feeds, in network order."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (INPUT, *program.layer_names)}
    for layer in program.layers:
        for source in layer.sources:
            if source.pool[0] != source.pool[1]:
                raise UnsupportedError(
                    f"layer {layer.name!r}: pooling {source.pool} before it is not square; the chip has one number"
                )
            destination = {"layer": cores[layer.name], "enable": True, "pooling": source.pool[0]}
            if source.feature_shift:
                destination["feature_shift"] = source.feature_shift
            found[source.layer].append(destination)
    if program.readout is not None:
        (output,) = program.outputs
        found[output.layer].append({"layer": DESTINATION, "enable": True, "pooling": 1})
    return found


def _core(layer: CoreLayer, destinations: list[dict[str, Any]], monitored: bool) -> dict[str, Any]:
    features = layer.output_shape[0]
    bias = np.zeros(features, np.int8) if layer.bias is None else layer.bias
    if layer.decimation > 1 and layer.decimation not in DECIMATION:
        raise UnsupportedError(
            f"layer {layer.name!r}: decimation {layer.decimation}; choose one of {', '.join(map(str, DECIMATION))}"
        )
    return {
        "dimensions": _dimensions(layer),
        "weights": layer.weight.transpose(0, 1, 3, 2).tolist(),
        "biases": bias.tolist(),
        "leak_enable": bool(bias.any()),
        "return_to_zero": layer.reset == "zero",
        "threshold_high": layer.threshold,
        "threshold_low": layer.min_v,
        "neurons_initial_value": 0 if layer.initial is None else layer.initial.transpose(0, 2, 1).tolist(),
        "monitor_enable": monitored,
        "destinations": destinations,
        "input_congestion_balancer_enable": False,
        "leak_internal_slow_clk_enable": False,
        "output_decimator_enable": layer.decimation > 1,
        **({"output_decimator_interval": DECIMATION[layer.decimation]} if layer.decimation > 1 else {}),
    }


def _dimensions(layer: CoreLayer) -> dict[str, Any]:
    height, width = layer.weight.shape[2:]
    if height != width:
        raise UnsupportedError(
            f"layer {layer.name!r}: the kernel is {height}x{width}; the chip has one number for both"
        )
    shapes = {"input_shape": layer.input_shape, "output_shape": layer.output_shape}
    sizes = {name: {"size": {"x": w, "y": h}, "feature_count": c} for name, (c, h, w) in shapes.items()}
    pairs = {"padding": layer.padding, "stride": layer.stride}
    return {**sizes, **{name: {"x": x, "y": y} for name, (y, x) in pairs.items()}, "kernel_size": height}


def _front(program: CoreNetwork, destinations: Sequence[Mapping[str, Any]], monitored: bool) -> dict[str, Any]:
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


def _readout(readout: Readout) -> dict[str, Any]:
    return {
        "enable": True,
        "readout_configuration_sel": ONE_PIXEL,
        "output_mode_sel": readout.mode,
        "output_neuron_num": readout.selected,
        "threshold": readout.threshold,
        "override_threshold_max": readout.override,
        "low_pass_filter_disable": readout.window == 1,
        "low_pass_filter32_not16": readout.window == 32,
        "readout_pin_monitor_enable": True,
        "monitor_enable": False,
        "internal_slow_clk": False,
    }
