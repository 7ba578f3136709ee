"""Where Sinabs' layers have time: [B, T, ...] or [B * T, ...]. All layers of a network must mean the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import Network
from i2e_deploy.network.modules.graph import Call

#: Layers on images: the axis after the first is that of channels, so batch and time are one axis.
_SQUEEZED = (
    "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv2d", "DVSLayer", "Dropout2d", "Flatten", "IAFSqueeze", "SumPool2d",
)  # fmt: skip


def check_time(network: Network, calls: Sequence[Call]) -> None:
    """Neurons take for time what the other layers do, and have states of the shape of their layer.

    Raises:
        UnsupportedError: names the layers that differ.
    """
    squeezed = next((call for call in calls if call.kind in _SQUEEZED), None)
    for call in calls:
        if call.kind == "IAF" and squeezed is not None:
            raise UnsupportedError(
                f"layer {call.name!r} is an IAF, which takes [B, T, ...], and layer {squeezed.name!r} "
                f"({squeezed.kind}) takes [B * T, ...]: use IAFSqueeze"
            )
    for name in ("batch_size", "num_timesteps"):
        given = {getattr(c.module, name, -1): c.name for c in calls if c.kind == "IAFSqueeze"}
        given.pop(-1, None)
        if len(given) > 1:
            said = " and ".join(f"{value} in layer {layer!r}" for value, layer in given.items())
            raise UnsupportedError(f"{name} is {said}: the layers cut frames into samples differently; make it one")
    shapes = network.shapes()
    for call in calls:
        if call.kind in ("IAF", "IAFSqueeze"):
            _check_spread(call, shapes[call.name])


def _check_spread(call: Call, shape: tuple[int, ...]) -> None:
    """Several equal thresholds or bounds are one only if they lie on the neurons one by one."""
    for what, name in (("thresholds", "spike_threshold"), ("lower bounds", "min_v_mem")):
        given = tuple(np.shape(getattr(call.module, name)))
        try:
            fits = np.broadcast_shapes(given, (1, *shape)) == (1, *shape)
        except ValueError:
            fits = False
        if not fits:
            raise UnsupportedError(
                f"layer {call.name!r} has {np.prod(given):.0f} {what} of shape {given} for neurons of shape {shape}: "
                "give one, or one a neuron"
            )
