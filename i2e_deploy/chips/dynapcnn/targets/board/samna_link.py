"""From our JSON to the vendor's configuration object, once the real samna is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.formats.config import FORMAT, FORMAT_VERSION
from i2e_deploy.errors import CheckFailed, FileFormatError

_SECTIONS = ("dvs_layer", "dvs_filter", "readout", "factory_config")


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
