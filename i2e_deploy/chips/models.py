"""Networks on disk, float or a chip's integers: the kind of the file says which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from i2e_deploy.chips.abilities import ReadsWithOptions, TakesIntegers
from i2e_deploy.chips.integers import AnyNetwork, IntegerNetwork
from i2e_deploy.chips.registry import all_chips
from i2e_deploy.datasets.card import Card, card_of
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.network.file import (
    STEP_US,
    network_of,
    read_card_record,
    read_content,
    write_content,
    write_network,
)
from i2e_deploy.network.graph import Network

NETWORK, NIR = ".safetensors", ".nir"


def read_model(
    path: Path | str, input_shape: tuple[int, ...] | None = None, options: Mapping[str, str] | None = None
) -> AnyNetwork:
    """A network file: `.safetensors` or `.nir`, or what a chip's own training library writes (`.net`).

    Args:
        input_shape: (C, H, W) or (N,), for a chip's file that does not say it; every other file knows its own.
        options: what that kind of file does not say, by the names of its reader's arguments, as text, e.g.
            `{"reset": "zero"}` for `.nir`.

    Raises:
        InputError: no such file, or an input shape or option that is not wanted.
        FileFormatError: damaged, or of no kind that is known.
    """
    path, asked = Path(path), options or {}
    takers: dict[str, TakesIntegers] = {}
    for chip in _takers() if path.suffix not in (NETWORK, NIR) else ():
        takers = dict.fromkeys(chip.integer_suffixes, chip) | takers
    if path.suffix in takers:
        taker = takers[path.suffix]
        if isinstance(taker, ReadsWithOptions):
            return taker.read_integers(path, input_shape, **parsed_options(asked, taker.read_options, path))
        parsed_options(asked, {}, path)
        return taker.read_integers(path, input_shape)
    if input_shape is not None:
        raise InputError(f"--input-shape is for netx files: {path} says itself what it takes; leave it out")
    if path.suffix == NIR:
        from i2e_deploy.network.nir.read import READ_OPTIONS, read_nir

        return read_nir(path, **parsed_options(asked, READ_OPTIONS, path))
    if path.suffix != NETWORK and path.exists():
        suffixes = ", ".join((NETWORK, NIR, *sorted(takers)))
        raise FileFormatError(f"{path} is no model: give a bundle folder or a file of a network ({suffixes})")
    parsed_options(asked, {}, path)
    tensors, content = read_content(path)
    for taker in () if "layers" in content else _takers():
        if taker.integer_kind in content:
            return taker.unpack_integers(tensors, content[taker.integer_kind])
    return network_of(path, tensors, content)


def write_model(
    network: AnyNetwork, path: Path | str, notes: Mapping[str, str] | None = None, card: Card | None = None
) -> None:
    """Write a network, whole or not at all.

    Args:
        network: float, or a chip's integers.
        path: the file.
        notes: strings to keep with it (seed, accuracy, ...).
        card: of the data that it was trained on; `read_card` gives it back, and `evaluate` goes by its names.
    """
    if card is not None and card.step_us is not None:
        notes = {STEP_US: str(card.step_us), **(notes or {})}
    record = None if card is None else card.record()
    if isinstance(network, Network):
        write_network(network, path, notes, record)
        return
    tensors, data = _taker_of(network).pack_integers(network)
    write_content(Path(path), tensors, {network.kind: data}, notes, record)


def read_card(path: Path | str) -> Card | None:
    """The card in a network file; None: a file without one, or of a kind that holds none.

    Raises:
        InputError: no such file.
        FileFormatError: damaged, or a card of a newer version.
    """
    path = Path(path)
    return card_of(read_card_record(path), str(path)) if path.suffix == NETWORK else None


def parsed_options(given: Mapping[str, str], known: Mapping[str, Callable[[str], Any]], path: Path) -> dict[str, Any]:
    """Options of a reader from their text.

    Raises:
        InputError: one that it does not have, or a value that is none of it.
    """
    found = {}
    for name, text in given.items():
        if name not in known:
            have = (
                f"it has {', '.join(sorted(known))}"
                if known
                else f"{path.suffix} says all that is needed; leave it out"
            )
            raise InputError(f"{path}: the reader of {path.suffix} has no option {name!r}: {have}")
        try:
            found[name] = known[name](text)
        except ValueError as error:
            raise InputError(f"{path}: option {name}={text!r} of the reader of {path.suffix}: {error}") from error
    return found


def _takers() -> Iterator[TakesIntegers]:
    """A chip whose package is broken is no reason not to read files of the others."""
    for chip in all_chips()[0].values():
        if isinstance(chip, TakesIntegers):
            yield chip


def _taker_of(network: IntegerNetwork) -> TakesIntegers:
    for chip in _takers():
        if chip.integer_kind == network.kind:
            return chip
    raise InputError(f"no installed chip takes integers of kind {network.kind!r}: install the package that has it")
