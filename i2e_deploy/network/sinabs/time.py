"""Where Sinabs' layers have time: [B, T, ...] or [B * T, ...]. What feeds a layer must have it as that layer does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.sinabs.neurons import NEURONS

#: Layers on the last axis, or on values one by one: both are the same to them.
_EITHER = (
    "Add", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "Identity",
    "Linear", "Merge",
)  # fmt: skip
#: Layers on batch and time as two axes; all others take them as one, the axis after it is that of channels.
_TIMED = tuple(name for name in NEURONS if not name.endswith("Squeeze"))


def timed_calls(calls: Sequence[Call], inside: Mapping[str, str]) -> dict[str, bool]:
    """For each call, and for the input, whether it gives batch and time as two axes.

    Args:
        calls: of the module, in order.
        inside: calls in a `Repeat`, which gives them one axis and makes two of it again.

    Raises:
        UnsupportedError: names the layers that differ.
    """
    for start in (True, False):
        found = _follow(calls, inside, start)
        if found is not None:
            break
    else:
        raise UnsupportedError(_clash(calls))
    for name in ("batch_size", "num_timesteps"):
        given = {getattr(c.module, name, -1): c.name for c in calls if c.kind.endswith(("Squeeze", "UnflattenTime"))}
        given.pop(-1, None)
        if len(given) > 1:
            said = " and ".join(f"{value} in layer {layer!r}" for value, layer in given.items())
            raise UnsupportedError(f"{name} is {said}: the layers cut frames into samples differently; make it one")
    return found


def _follow(calls: Sequence[Call], inside: Mapping[str, str], start: bool) -> dict[str, bool] | None:
    """The same for an input that has time as an axis of its own (`start`) or not; None: a layer takes it otherwise."""
    timed = {INPUT: start}
    for call in calls:
        given = {timed[source] for source in call.inputs}
        if len(given) > 1 or (call.name in inside and given != {True}):
            return None
        (now,) = given
        if call.name in inside:
            if call.kind in (*_TIMED, "FlattenTime", "UnflattenTime"):
                return None
        elif call.kind == "UnflattenTime":
            if now:
                return None
            now = True
        elif call.kind == "FlattenTime":
            if not now:
                return None
            now = False
        elif call.kind in _TIMED or (call.kind == "Flatten" and _behind_time(call)):
            if not now:
                return None
        elif call.kind not in _EITHER and now:
            return None
        timed[call.name] = now
    return timed


def _behind_time(call: Call) -> bool:
    """A Flatten of axes after that of time."""
    return call.module is not None and call.module.start_dim == 2


def _clash(calls: Sequence[Call]) -> str:
    """Two layers that take batch and time differently, without what changes between them."""
    timed = next((call for call in calls if call.kind in (*_TIMED, "FlattenTime", "Repeat")), None)
    other = next((call for call in calls if call.kind not in (*_TIMED, *_EITHER, "FlattenTime", "UnflattenTime")), None)
    if timed is None or other is None:
        return (
            "FlattenTime and UnflattenTime do not fit each other: the first takes [B, T, ...], the second [B * T, ...]"
        )
    if other.kind == "Flatten":
        squeeze = "use nn.Flatten(2), or put "
    else:
        squeeze = f"use {timed.kind}Squeeze, or put " if timed.kind in ("ALIF", "ExpLeak", "IAF", "LIF") else "put "
    return (
        f"layer {timed.name!r} is an {timed.kind}, which takes [B, T, ...], and layer {other.name!r} ({other.kind}) "
        f"takes [B * T, ...]: {squeeze}UnflattenTime before the first and FlattenTime before the second"
    )
