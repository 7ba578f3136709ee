"""From a program to a configured board: what to monitor, the slow clock, cores, and every field of samna's object.

`apply` and `validate` take our JSON (see `formats.config`) to the vendor's configuration, once the real samna is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.checks.placement import place
from i2e_deploy.chips.dynapcnn.formats.config import FORMAT, FORMAT_VERSION, build_config
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.targets.board.link import Board
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import CheckFailed, FileFormatError, InputError, UnsupportedError

#: The slow clock of the board, Hz (Datasheet, 3.2.6).
SLOW_CLOCK_HZ = (10, 10_000)
_SECTIONS = ("dvs_layer", "dvs_filter", "readout", "factory_config")
WRITING = "while its configuration was written"


def monitored(program: CoreNetwork, options: BoardOptions) -> tuple[str, ...]:
    """Layers to monitor, in network order: those that were asked for, and those that leave the network.

    Raises:
        InputError: a layer that the program does not have.
    """
    outputs = {source.layer for source in program.outputs}
    wanted = outputs | set(options.monitor or ())
    strangers = sorted(wanted - set(program.layer_names))
    if strangers:
        raise InputError(f"no layer {strangers[0]!r} to monitor: choose of {', '.join(program.layer_names)}")
    return tuple(name for name in program.layer_names if name in wanted)


def slow_clock_hz(step_us: int, needed_for: str) -> int:
    """Rate of the slow clock that ticks once a step.

    Raises:
        UnsupportedError: the board's clock has no such rate.
    """
    low, high = SLOW_CLOCK_HZ
    if not low <= 1e6 / step_us <= high:
        raise UnsupportedError(
            f"steps of {step_us} us need a slow clock of {1e6 / step_us:g} Hz for {needed_for}: the board has {low} to "
            f"{high} Hz; choose steps of {1_000_000 // high} to {1_000_000 // low} us"
        )
    return 1_000_000 // step_us


def place_on(board: Board, program: CoreNetwork) -> dict[str, int]:
    """The core of every layer on the board's chip.

    Raises:
        CheckFailed: the program does not fit.
    """
    slots, without_core = place(program.layers, load_profile(board.chip))
    if without_core:
        raise CheckFailed(f"the program does not fit {board.chip}: no cores for {', '.join(without_core)}")
    return {slot.layer: slot.core for slot in slots}


def configure(
    board: Board,
    program: CoreNetwork,
    cores: Mapping[str, int],
    watched: tuple[str, ...],
    camera: bool = False,
    pixels: bool = False,
) -> None:
    """Write a program's configuration; all states are the program's initial ones afterwards.

    Args:
        watched: layers whose spikes are sent out.
        camera: the chip's own pixels feed the cores.
        pixels: send out the events of the pixels too.

    Raises:
        CheckFailed: samna refuses it.
        SourceLost: the board went away.
        UnsupportedError: a layer that the chip has no configuration for.
    """
    data = build_config(program, cores, board.chip, watched)
    data["dvs_layer"] |= {"pass_sensor_events": camera, "raw_monitor_enable": pixels}
    configuration = board.module.configuration.SpeckConfiguration()
    apply(configuration, data)
    board.call(WRITING, validate, board.module, configuration)
    board.call(WRITING, board.device.get_model().apply_configuration, configuration)


def apply(configuration: Any, data: Mapping[str, Any]) -> None:
    """Set every field of `data` (see `config`) on a samna configuration object.

    Args:
        configuration: e.g. `samna.speck2f.configuration.SpeckConfiguration()`.

    Raises:
        FileFormatError: `data` is not such a configuration.
        CheckFailed: a field that this samna has not.
    """
    if data.get("format") != FORMAT or data.get("format_version") != FORMAT_VERSION:
        raise FileFormatError(
            f"configuration has format {data.get('format')!r} version {data.get('format_version')}: "
            f"expected {FORMAT} version {FORMAT_VERSION}"
        )
    for section in (name for name in _SECTIONS if name in data):
        _set(configuration, {section: data[section]}, "configuration")
    for core, fields in data["cnn_layers"].items():
        _set_core(configuration.cnn_layers[int(core)], fields, f"cnn_layers[{core}]")


def validate(module: Any, configuration: Any) -> None:
    """Ask samna whether the chip takes the configuration; `module` is e.g. `samna.speck2f`.

    Raises:
        CheckFailed: it does not; with samna's reason.
    """
    valid, message = module.validate_configuration(configuration)
    if not valid:
        raise CheckFailed(f"samna refuses the configuration: {message}")


def _set_core(core: Any, fields: Mapping[str, Any], where: str) -> None:
    _set(core, {"dimensions": _Whole(fields["dimensions"])}, where)  # samna takes a dict here, as Sinabs gives it
    for name, value in fields.items():
        if name == "dimensions":
            continue
        if name == "neurons_initial_value" and value == 0:
            out = fields["dimensions"]["output_shape"]
            shape = (out["feature_count"], out["size"]["x"], out["size"]["y"])
            value = np.zeros(shape, np.int16).tolist()  # noqa: PLW2901
        _set(core, {name: value}, where)


class _Whole:
    """A mapping that is set as it is."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _set(target: Any, values: Mapping[str, Any], where: str) -> None:
    """Set fields, going down where the value is a mapping that the target has an object for.

    Raises:
        CheckFailed: this samna has no such field, or does not take the value.
    """
    for name, value in values.items():
        path = f"{where}.{name}"
        try:
            if name == "destinations":
                for i, fields in enumerate(value):
                    _set(target.destinations[i], fields, f"{path}[{i}]")
            elif isinstance(value, Mapping):
                _set(getattr(target, name), value, path)
            else:
                setattr(target, name, value.value if isinstance(value, _Whole) else value)
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckFailed(f"samna's configuration does not take {path}: {reason}; is this samna 0.46?") from error
