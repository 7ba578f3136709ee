"""The chip's event pre-processing layer in a float network: where it stands, and pooling behind it made part of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import INPUT, Layer, Network, Sensor
from i2e_deploy.network.op import Pair


def sensor_layer(network: Network) -> Layer | None:
    """The layer that pre-processes the input, or None.

    Raises:
        UnsupportedError: it stands behind a layer, or is not the only one that takes the input.
    """
    found = [layer for layer in network.layers if isinstance(layer.op, Sensor)]
    if not found:
        return None
    first, beside = found[0], [layer.name for layer in network.consumers()[INPUT] if layer is not found[0]]
    if len(found) > 1 or first.inputs != (INPUT,) or beside:
        raise UnsupportedError(
            f"layer {found[-1].name!r} pre-processes events: the chip does so once, between its pixels and the layers; "
            "put one such layer first, before all others"
        )
    return first


def with_pooling(layer: Layer, pools: Collection[Pair]) -> Sensor:
    """The sensor with the pooling behind it taken in, as Sinabs does where nothing is cropped or mirrored.

    Args:
        layer: of the sensor.
        pools: windows (vertical, horizontal) on the ways from it to the layers that it feeds.

    Raises:
        UnsupportedError: they differ, or do not lie on the grid of the crop.
    """
    assert isinstance(layer.op, Sensor)
    sensor = layer.op
    if len(set(pools)) > 1:
        raise UnsupportedError(
            f"layer {layer.name!r} feeds layers through different pooling {sorted(set(pools))}: "
            "the chip's pre-processing has one; use strides, or a layer between"
        )
    pool = next(iter(pools), (1, 1))
    if pool == (1, 1):
        return sensor
    down, across = pool[::-1] if sensor.swap_xy else pool
    crop = sensor.crop
    if crop is not None:
        crop = (
            _coarser(layer.name, crop[0], down, sensor.flip_y),
            _coarser(layer.name, crop[1], across, sensor.flip_x),
        )
    elif sensor.flip_y or sensor.flip_x:
        raise UnsupportedError(
            f"layer {layer.name!r} mirrors before pooling {pool}: give its crop, e.g. the whole image, or pool in it"
        )
    return replace(sensor, pool=(sensor.pool[0] * down, sensor.pool[1] * across), crop=crop)


def _coarser(name: str, side: Pair, pool: int, flipped: bool) -> Pair:
    """One side of a crop in windows of `pool`; windows are counted from where the image starts once it is mirrored."""
    count = (side[1] - side[0]) // pool
    start = side[1] - count * pool if flipped else side[0]
    if start % pool:
        raise UnsupportedError(
            f"layer {name!r} crops {side} and is pooled by {pool} behind it: the chip pools first; "
            f"let the crop {'end' if flipped else 'start'} at a multiple of {pool}, or pool within it"
        )
    return start // pool, start // pool + count
