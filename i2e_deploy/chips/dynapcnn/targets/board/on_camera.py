"""A program as the chip's own camera feeds it: 128x128 pixels, pre-processing, and then the cores."""

from __future__ import annotations

from dataclasses import replace

from i2e_deploy.chips.dynapcnn.program import CoreNetwork, Source
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import INPUT, Sensor

#: Polarities and pixels of Speck2e and Speck2f (Speck Dev Kit Datasheet, Aug 2023, 2.2).
PIXELS = (2, 128, 128)
#: Pooling of the pre-processing, horizontal and vertical (Datasheet, 3.2.3.2).
POOLS = (1, 2, 4)
#: left, top, width, height in pixels.
Part = tuple[int, int, int, int]


def on_camera(program: CoreNetwork, part: Part | None = None) -> CoreNetwork:
    """The program with the chip's own pixels as its input, (2, 128, 128).

    A program that begins with a `Sensor` keeps it. One that does not sees `part` of the pixels, pooled to its input by
    1, 2 or 4; an input of one channel takes both polarities as one.

    Args:
        part: what is seen; None: all pixels.

    Raises:
        UnsupportedError: the camera has not these pixels, or no such pooling.
        InputError: a part outside the camera.
    """
    inputs = [source for layer in program.layers for source in layer.sources if source.layer == INPUT]
    if any(source != Source(INPUT) for source in inputs):
        raise UnsupportedError(
            "layers pool or shift the input before they take it: the chip's camera feeds them as it is; begin the "
            "network with a Sensor layer that pools"
        )
    if program.sensor is None:
        sensor = _sensor(program.input_shape, (0, 0, *PIXELS[:0:-1]) if part is None else part)
    else:
        if part is not None:
            raise InputError("the network begins with a Sensor layer, which says what it sees: leave out the crop")
        if program.input_shape[1:] != PIXELS[1:]:
            raise UnsupportedError(
                f"the network's Sensor layer takes {program.input_shape[2]}x{program.input_shape[1]} pixels, the "
                f"chip's camera has {PIXELS[2]}x{PIXELS[1]}: build it for these"
            )
        merges = program.sensor.merge_polarities or program.input_shape[0] == 1
        sensor = replace(program.sensor, merge_polarities=merges, pixel_array=True)
    return replace(program, input_shape=PIXELS, sensor=sensor)


def _sensor(shape: tuple[int, int, int], part: Part) -> Sensor:
    channels, height, width = shape
    left, top, across, down = part
    if min(part) < 0 or left + across > PIXELS[2] or top + down > PIXELS[1]:
        raise InputError(f"crop {part} (left, top, width, height) leaves the camera of {PIXELS[2]}x{PIXELS[1]} pixels")
    pool = (down // height, across // width)
    if pool[0] * height != down or pool[1] * width != across or any(n not in POOLS for n in pool) or channels > 2:
        raise UnsupportedError(
            f"the chip's camera cannot show {across}x{down} pixels as {channels}x{height}x{width} (C, H, W): it pools "
            "by 1, 2 or 4; choose a crop of 1, 2 or 4 times the network's input, or begin it with a Sensor layer"
        )
    if top % pool[0] or left % pool[1]:
        raise UnsupportedError(
            f"crop {part} begins between pooled pixels: let left be a multiple of {pool[1]}, top of {pool[0]}"
        )
    y, x = top // pool[0], left // pool[1]
    return Sensor(pool, ((y, y + height), (x, x + width)), merge_polarities=channels == 1, pixel_array=True)
