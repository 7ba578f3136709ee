"""What the golden vectors of `export` are made of: frames, a recording in its own order, or random events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from i2e_deploy.cli.recordings import Reading, say_about

if TYPE_CHECKING:
    from i2e_deploy.chips import AnyNetwork, Program
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.events import Events

#: Without an input: samples, steps and share of pixels that fire, drawn from the seed.
SAMPLES, STEPS, RATE = 2, 8, 0.1


def golden_inputs(
    network: AnyNetwork, inputs: Path | None, seed: int, reading: Reading
) -> tuple[Integers | Events, dict[str, int]]:
    """Frames or a recording of a file, or random frames and their seed.

    A recording whose file states the size of its sensor is brought onto the pixels of the network, as `evaluate` does.

    Raises:
        InputError: see `read_input`.
    """
    import numpy as np

    from i2e_deploy.cli.common import read_frames
    from i2e_deploy.events.frames import FrameSpec, seen_events
    from i2e_deploy.files import holds_frames

    shape = network.input_shape
    if inputs is None:
        reading.refuse("there is no --input")
        random = np.random.default_rng(seed).random((SAMPLES, STEPS, *shape))
        return (random < RATE).astype(np.uint8), {"golden inputs": seed}
    if holds_frames(inputs, len(shape) == 1):
        reading.refuse(f"{inputs} holds frames")
        return read_frames(inputs, shape), {}
    recording = reading.read(inputs)
    say_about(inputs, recording)
    if recording.sensor_size is None or len(shape) != 3 or shape[0] not in (1, 2):
        return recording.events, {}
    return seen_events(recording.events, FrameSpec(recording.sensor_size, (shape[0], shape[1], shape[2]))), {}


def first_events(given: Integers | Events, most: int) -> Integers | Events:
    """Frames as they are; of a recording at most so many events, for the slow reference. Says what is left out."""
    from i2e_deploy.cli.common import console

    if given.dtype.names is None or len(given) <= most:
        return given
    kept = cast("Events", given[:most])
    lasting = (int(kept["t"][-1]) - int(kept["t"][0])) / 1000
    console(stderr=True).print(
        f"golden vectors are of the first {most:,} of {len(given):,} events, {lasting:,.1f} ms: the slow reference "
        "takes its time; --golden-events says how many"
    )
    return kept


def with_rest(given: Integers | Events, program: Program) -> Integers | Events:
    """Frames with empty steps after them where the last layer begins only when they have ended; said on stderr."""
    import numpy as np

    from i2e_deploy.cli.common import console

    late = max(program.latencies.values(), default=0)
    if given.dtype.names is not None or late < given.shape[1]:
        return given
    console(stderr=True).print(f"{late} empty steps follow the golden inputs: the last layer works so many later")
    return np.pad(cast("Integers", given), ((0, 0), (0, late), *[(0, 0)] * (given.ndim - 2)))
