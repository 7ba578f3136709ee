"""From our JSON to the vendor's configuration object, once the real samna is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.config import FORMAT, FORMAT_VERSION
from i2e_deploy.errors import CheckFailed, FileFormatError

_SECTIONS = ("dvs_layer", "dvs_filter", "readout", "factory_config")


def apply(configuration: Any, data: Mapping[str, Any]) -> None:
    """Set every field of `data` (see `config`) on a samna configuration object.

    Args:
        configuration: e.g. `samna.speck2f.configuration.SpeckConfiguration()`.

    Raises:
        FileFormatError: `data` is not such a configuration.
    """
    if data.get("format") != FORMAT or data.get("format_version") != FORMAT_VERSION:
        raise FileFormatError(
            f"configuration has format {data.get('format')!r} version {data.get('format_version')}: "
            f"expected {FORMAT} version {FORMAT_VERSION}"
        )
    for section in (name for name in _SECTIONS if name in data):
        _set(getattr(configuration, section), data[section])
    for core, fields in data["cnn_layers"].items():
        _set_core(configuration.cnn_layers[int(core)], fields)


def validate(module: Any, configuration: Any) -> None:
    """Ask samna whether the chip takes the configuration; `module` is e.g. `samna.speck2f`.

    Raises:
        CheckFailed: it does not; with samna's reason.
    """
    valid, message = module.validate_configuration(configuration)
    if not valid:
        raise CheckFailed(f"samna refuses the configuration: {message}")


def _set_core(core: Any, fields: Mapping[str, Any]) -> None:
    core.dimensions = fields["dimensions"]  # samna takes a dict here, as Sinabs gives it
    for destination, values in zip(core.destinations, fields["destinations"], strict=False):
        _set(destination, values)
    for name, value in fields.items():
        if name in ("dimensions", "destinations"):
            continue
        if name == "neurons_initial_value" and value == 0:
            out = fields["dimensions"]["output_shape"]
            shape = (out["feature_count"], out["size"]["x"], out["size"]["y"])
            value = np.zeros(shape, np.int16).tolist()  # noqa: PLW2901
        setattr(core, name, value)


def _set(target: Any, values: Mapping[str, Any]) -> None:
    """Set fields, going down where the value is a mapping that the target has an object for."""
    for name, value in values.items():
        if name == "destinations":
            for destination, fields in zip(target.destinations, value, strict=False):
                _set(destination, fields)
        elif isinstance(value, Mapping):
            _set(getattr(target, name), value)
        else:
            setattr(target, name, value)
