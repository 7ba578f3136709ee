"""What several commands share."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table

    from i2e_deploy.chips import AnyNetwork, Chip, LowerOptions, Program
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.datasets.card import Card

#: Whether this command has printed its result as JSON.
JSON_PRINTED: ContextVar[bool] = ContextVar("JSON_PRINTED", default=False)

Advance = Callable[[int, str], None]

#: The chip that a network file is lowered to where none is named.
DEFAULT_CHIP = "speck2f"


def console(stderr: bool = False, wrap: bool = False) -> Console:
    """For people. Results go to standard output; progress, and all of it beside `--json`, to standard error.

    Names and paths are printed as they are: nothing in them is markup, and lines are only broken if `wrap`.
    """
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=not wrap)


def print_json(data: Any) -> None:
    """One JSON object on standard output, and no second one: an error that follows is not printed as JSON too."""
    json.dump(data, sys.stdout, indent=1)
    print()
    JSON_PRINTED.set(True)


@contextlib.contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Advance]:
    """A bar on standard error when that is a terminal; call the yielded function with (done, note).

    `total` None: of unknown length.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
    )
    out = console(stderr=True)
    with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
        task = bar.add_task(title, total=total, note="")
        yield lambda done, note: bar.update(task, completed=done, note=note)


@contextlib.contextmanager
def working(title: str) -> Iterator[None]:
    """A spinner on standard error, when that is a terminal, beside work that does not say how far it is."""
    out = console(stderr=True)
    with out.status(title) if out.is_terminal else contextlib.nullcontext():
        yield


#: Help of the option `--input-shape`.
SHAPE_HELP = "C,H,W of the frames, for a netx file that does not say it (its first layer is a convolution)."


#: Help of the option `--read`.
READ_HELP = "NAME=VALUE for the file's reader, again for each, e.g. reset=zero (.nir) or spike_exp=7 (.net)."


#: Help of the option `--standard`.
STANDARD_HELP = "Loihi 2, TrueNorth: only the standard neuron, its closest form; --input says what it costs."


def parse_options(given: Sequence[str]) -> dict[str, str]:
    """`["reset=zero"]` to {"reset": "zero"}.

    Raises:
        InputError: no name, no value, or a name twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals or not value or name in found:
            raise InputError(f"--read {text}: give each as NAME=VALUE, once, for example --read reset=zero")
        found[name] = value
    return found


def parse_shape(text: str) -> tuple[int, ...] | None:
    """`"2,32,32"` to (2, 32, 32); None for an empty text.

    Raises:
        InputError: not one or three whole numbers from 1.
    """
    if not text:
        return None
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise InputError(f"--input-shape is {text!r}: give C,H,W, for example 2,32,32, or the number of inputs")
    return tuple(map(int, parts))


def read_network_of(model: Path, input_shape: str = "", options: Sequence[str] = ()) -> AnyNetwork:
    """The network of a bundle (a folder) or of a file; see `chips.read_model`.

    Args:
        model: the file or folder.
        input_shape: see `parse_shape`.
        options: see `parse_options`.

    Raises:
        InputError: no such file, one that holds no network, or an input shape or option that is not wanted.
    """
    shape, asked = parse_shape(input_shape), parse_options(options)
    if model.is_dir():
        from i2e_deploy.bundle import read

        if shape is not None:
            raise InputError(f"--input-shape is for netx files: {model} says itself what it takes; leave it out")
        if asked:
            raise InputError(
                f"--read {', '.join(asked)}: {model} is a bundle, which says all that is needed; leave it out"
            )
        return read(model).network
    from i2e_deploy.chips import read_model

    return read_model(model, shape, asked)


def read_program_of(model: Path, chip_name: str | None, input_shape: str = "", options: Sequence[str] = ()) -> Program:
    """The program of a bundle for this chip, or a network file lowered to it; see `read_model_of`."""
    return read_model_of(model, chip_name, input_shape, options=options).program


@dataclass(frozen=True, eq=False)
class Model:
    """A chip, a program for it, the network that it was made of; the core of every layer and the duration of a step,
    microseconds, where a bundle or the notes of a network file say them; the card of its data, where it
    has one."""

    chip: Chip
    program: Program
    network: AnyNetwork
    cores: Mapping[str, int] | None = None
    step_us: int | None = None
    card: Card | None = None


def card_of_model(model: Path) -> Card | None:
    """The card of a bundle or a network file; None: it holds none.

    Raises:
        InputError: no such file, or see `bundle.read`.
    """
    if model.is_dir():
        from i2e_deploy.bundle import read

        return read(model).card
    from i2e_deploy.chips import read_card

    return read_card(model)


def read_model_of(
    model: Path, chip_name: str | None, input_shape: str = "", power: Path | None = None, options: Sequence[str] = ()
) -> Model:
    """The program of a bundle for this chip, or a network file lowered to it; see `read_network_of`.

    Args:
        model: bundle or network file.
        chip_name: None: a bundle's own; network files are lowered to `DEFAULT_CHIP`.
        input_shape: see `read_network_of`.
        power: coefficients of a board, see `with_power`.
        options: see `read_network_of`.

    Raises:
        InputError: no such file or chip, or a bundle for another chip.
    """
    from i2e_deploy.chips import get

    chip = get(chip_name or DEFAULT_CHIP)
    if not model.is_dir() or input_shape or options:
        network = read_network_of(model, input_shape, options)
        return Model(
            with_power(chip, power), chip.lower(network), network, None, noted_step(model), card_of_model(model)
        )
    from i2e_deploy.bundle import read

    bundle = read(model)
    name = bundle.chip.profile.name
    if chip_name not in (None, name):
        raise InputError(f"{model} is a bundle for {name}, not {chip_name}: give --chip {name}, or export it again")
    return Model(
        with_power(bundle.chip, power), bundle.program, bundle.network, bundle.cores, bundle.step_us, bundle.card
    )


def read_model_beside(model: Path, chip_name: str, input_shape: str = "", options: Sequence[str] = ()) -> Model:
    """As `read_model_of`; of a bundle for another chip the network is lowered to this one."""
    from i2e_deploy.chips import get

    chip, network = get(chip_name), read_network_of(model, input_shape, options)
    if model.is_dir() and own_program(model, chip, network) is not None:
        return read_model_of(model, chip_name)
    return Model(chip, chip.lower(network), network, None, noted_step(model), card_of_model(model))


def noted_step(model: Path) -> int | None:
    """Duration of a step, microseconds, that a bundle or the notes of a network file say; None: they do not.

    Raises:
        InputError: no such file, or see `bundle.read`.
    """
    from i2e_deploy.chips.options import MAX_STEP_US
    from i2e_deploy.network.file import STEP_US, read_notes

    if model.is_dir():
        from i2e_deploy.bundle import read

        return read(model).step_us
    text = read_notes(model).get(STEP_US, "") if model.suffix == ".safetensors" else ""
    return int(text) if text.isdecimal() and len(text) < 11 and 1 <= int(text) <= MAX_STEP_US else None


def with_power(chip: Chip, path: Path | None) -> Chip:
    """The chip with the power coefficients of one board, where a file of them is given.

    Raises:
        UnsupportedError: no board of this chip is calibrated.
        InputError: see `CalibratesPower.calibrated`.
    """
    from i2e_deploy.chips.abilities import CalibratesPower, require

    return chip if path is None else require(chip, CalibratesPower, f"--power-coefficients {path}").calibrated(path)


def own_program(model: Path, chip: Chip, network: AnyNetwork) -> tuple[Program, LowerOptions] | None:
    """The integers of a bundle for this chip, and what they were lowered with; None: no such bundle.

    Raises:
        InputError: they are not of the bundle's network.
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.chips import LowerOptions
    from i2e_deploy.chips.abilities import TakesPictures

    bundle = read(model) if model.is_dir() else None
    if bundle is None or bundle.chip.profile.name != chip.profile.name:
        return None
    for split in (False, True) if "split" in chip.lower_options else (False,):
        options = LowerOptions(split=split)
        layers, made = chip.check(network, options).layers, bundle.program.layer_names
        if made == layers or (isinstance(bundle.program, TakesPictures) and made[-len(layers) :] == layers):
            return bundle.program, options
    raise InputError(f"the program of {model} is not made of the network beside it: export it again")


def read_frames(path: Path, shape: Sequence[int]) -> Integers:
    """Event frames from `.npy`, or `frames` of a `.npz` (SpikingJelly's are so), always returned with B.

    Args:
        path: integers, or floats that are whole, [T, C, H, W] or [B, T, C, H, W]; of a network without images also
            [T, N] or [B, T, N].
        shape: of one frame, (C, H, W) or (N,).

    Raises:
        InputError: no such file, or not such an array.
    """
    import numpy as np

    from i2e_deploy.files import read_array, read_arrays

    if path.suffix == ".npz":
        arrays = read_arrays(path)
        if "frames" not in arrays:
            raise InputError(f"{path} holds {', '.join(arrays)}: give frames, an array `frames` [T, C, H, W]")
        frames = arrays["frames"]
        if frames.dtype.kind == "f" and (frames == np.rint(frames)).all() and (np.abs(frames) < 2**31).all():
            frames = frames.astype(np.int32)  # SpikingJelly counts in floats
    else:
        frames = read_array(path)
    if frames.dtype.names:
        raise InputError(f"{path} holds a recording: give frames, integers [T, C, H, W]")
    flat = len(shape) == 1
    if frames.dtype.kind not in "bui" or frames.ndim not in ((2, 3, 4, 5) if flat else (4, 5)):
        wanted = "[T, N] or [B, T, N]" if flat else "[T, C, H, W] or [B, T, C, H, W]"
        raise InputError(f"{path} is {frames.dtype} {list(frames.shape)}: give integers {wanted}")
    return np.asarray(frames if frames.ndim in (3, 5) else frames[None])


def new_table(*columns: Column | str, title: str = "") -> Table:
    """An empty table with lines only under its head, so that as much as possible fits in 80 columns."""
    from rich import box
    from rich.table import Table

    return Table(
        *columns, title=f"\n{title}" if title else None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        show_edge=False, pad_edge=False, collapse_padding=True,
    )  # fmt: skip
