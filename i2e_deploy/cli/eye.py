"""`--eye`: pictures instead of frames, where the chip makes the events itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2e_deploy.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from i2e_deploy.chips import Chip, Program
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.datasets.card import Card
    from i2e_deploy.runtime import Samples
    from i2e_deploy.runtime.shown import Shown

Eye = Annotated[
    str,
    typer.Option(
        "--eye",
        metavar="S_TH0[,looks=N][,seed=N][,v]",
        help="Loihi 2: I2E on the chip at this threshold, e.g. 0.12: inputs are pictures. looks=4: so many looks at "
        "each, with moves drawn from seed. v: the host sends V instead of red, green, blue.",
    ),
]


def eyed(chip: Chip, program: Program, asked: str) -> Program:
    """The program with the eye that `--eye` asks for; "": as it is.

    Raises:
        InputError: the option cannot be read; or see `SeesPictures.with_eye`.
        UnsupportedError: the chip has no such program.
    """
    if not asked:
        return program
    from i2e_deploy.chips.abilities import SeesPictures, TakesPictures, require
    from i2e_deploy.chips.eye import looks

    ratio, times, seed, channels = _parsed(asked)
    if isinstance(program, TakesPictures):
        raise InputError(f"--eye {asked}: this bundle has an eye already; leave it out")
    able = require(chip, SeesPictures, f"--eye {asked}")
    return able.with_eye(program, ratio, looks(times, seed), channels)


def _parsed(asked: str) -> tuple[str, int, int, int]:
    """Ratio, looks, seed and channels."""
    ratio, *options = (part.strip() for part in asked.split(","))
    numbers, channels = {"looks": 1, "seed": 0}, 3
    for option in options:
        name, equals, value = option.partition("=")
        if name == "v" and not equals:
            channels = 1
        elif name in numbers and value.isascii() and value.isdigit() and len(value) < 10:
            numbers[name] = int(value)
        else:
            raise InputError(f"--eye {asked}: write S_TH0, then looks=N, seed=N or v, e.g. 0.12,looks=4,seed=1")
    return ratio, numbers["looks"], numbers["seed"], channels


def shown_of(program: Program) -> Shown | None:
    """The program as one whose frames are pictures; None: it has no eye."""
    from i2e_deploy.chips.abilities import TakesPictures
    from i2e_deploy.runtime.shown import Shown

    return Shown(program) if isinstance(program, TakesPictures) else None


def read_shown(path: Path, shown: Shown) -> NDArray[np.uint8]:
    """Pictures as `Shown` takes them, uint8 [N, 1, C, H, W]; see `runtime.eye_pictures`."""
    from i2e_deploy.runtime.eye_pictures import read_pictures

    return read_pictures(path, shown.eye).images[:, None]


def read_given(path: Path, program: Program) -> Integers:
    """Frames of a program; where it has an eye, of pictures."""
    from i2e_deploy.cli.common import read_frames

    shown = shown_of(program)
    return read_frames(path, program.input_shape) if shown is None else shown.frames_of(read_shown(path, shown))


def golden_pictures(program: Program, path: Path | None, seed: int) -> tuple[Integers, dict[str, int]]:
    """Golden inputs of a program with an eye: pictures of a file, or random ones and their seed.

    They go on until all that they cause has left the network.
    """
    import numpy as np

    from i2e_deploy.cli.golden_inputs import SAMPLES
    from i2e_deploy.runtime.shown import Shown

    shown = Shown(program)
    if path is not None:
        images, seeds = read_shown(path, shown), {}
    else:
        images = np.random.default_rng(seed).integers(0, 256, (SAMPLES, 1, *shown.input_shape)).astype(np.uint8)
        seeds = {"golden pictures": seed}
    frames = shown.frames_of(images)
    late = np.zeros((len(frames), program.deciding.lag, *frames.shape[2:]), frames.dtype)
    return np.concatenate([frames, late], axis=1), seeds


def refuse_float(shown: Shown | None, targets: Sequence[str]) -> None:
    """Raise UnsupportedError if the float network, which takes frames, is to run on pictures."""
    if shown is not None and "float" in targets:
        raise UnsupportedError(
            "--target float takes frames, and a program with an eye pictures: run the network without the eye on what "
            "`i2e-deploy convert` makes of them; the eye's events are the same"
        )


def read_shown_samples(path: Path, shown: Shown, card: Card | None, limit: int) -> Samples:
    """Pictures and labels for an evaluation; what was assumed is said on standard error."""
    from i2e_deploy.cli.common import console
    from i2e_deploy.runtime import Samples
    from i2e_deploy.runtime.eye_pictures import read_pictures

    pictures = read_pictures(path, shown.eye, limit, card, console(stderr=True).print)
    return Samples(pictures.images[:, None], pictures.labels)


def unshown(program: Program, given: Integers) -> tuple[Program, Integers]:
    """A program and what it takes: where it is `Shown`, the one with the eye, and pictures as its frames."""
    from i2e_deploy.runtime.shown import Shown

    return (program.program, program.frames_of(given)) if isinstance(program, Shown) else (program, given)
