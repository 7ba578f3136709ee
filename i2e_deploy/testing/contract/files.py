"""Files: a program survives JSON, a network and a bundle survive the disk, and damaged data stay data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy import bundle
from i2e_deploy.chips import Chip, Program, read_model, write_model
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import FileFormatError
from i2e_deploy.testing.contract.same import assert_one_line, assert_same, assert_same_program, plain
from i2e_deploy.testing.contract.subject import Part, defined, drawn


class OnDisk(Part):
    """What is written is what is read."""

    def test_the_profile_is_the_chips(self) -> None:
        """Its name is that of the entry point, by which bundles find the chip again; it says what is exact."""
        profile = self.chip.profile
        assert profile.name == self.subject.chip
        assert profile.title
        assert profile.family
        assert profile.exact
        assert profile.open
        assert profile.cores, "a profile lists the chip's cores"
        assert profile.cores_source

    def test_a_program_is_integers(self, seed: int) -> None:
        """In its arrays and in its data."""
        tensors, data = drawn(self.subject, seed).program.to_tensors()
        for name, array in tensors.items():
            assert array.dtype.kind in "biu", f"array {name!r} is {array.dtype}"
        floats = [path for path, value in _leaves(data) if type(value) is float]
        assert not floats, f"data hold floats at {floats}"

    def test_a_program_survives_json(self, seed: int) -> None:
        """The program made of what `to_tensors` gave writes the same again, and runs the same in all semantics."""
        case = drawn(self.subject, seed)
        tensors, data = case.program.to_tensors()
        again = self.chip.program(tensors, plain(data))
        assert again.layer_names == case.program.layer_names
        assert tuple(again.input_shape) == tuple(case.program.input_shape)
        assert_same_program(case.program, again, "program after a round trip")
        for semantics in self.subject.semantics:
            trace = again.run(case.frames, semantics)
            assert_same(defined(self.subject, seed, semantics), trace, "program after a round trip, and reference")

    def test_damaged_programs_are_refused(self, seed: int) -> None:
        """FileFormatError in one line, or another program where what is missing may be missing; never anything else."""
        tensors, data = drawn(self.subject, seed).program.to_tensors()
        refused = [_is_refused(self.chip, what, broken) for what, broken in _damaged(tensors, plain(data))]
        assert any(refused), "no damage was refused"

    def test_a_network_survives_its_file(self, seed: int, tmp_path: Path) -> None:
        """What is read lowers to the same program."""
        case, path = drawn(self.subject, seed), tmp_path / "network.safetensors"
        write_model(case.network, path, {"note": "kept"})
        again = self.chip.lower(read_model(path), self.subject.options)
        assert_same_program(case.program, again, "network from a file, lowered")

    def test_a_bundle_survives_the_disk(self, seed: int, semantics: str, tmp_path: Path) -> None:
        """Written, read and verified on the engine and on the reference."""
        case, options = drawn(self.subject, seed), self.subject.options
        lowered = (self.chip.check(case.network, options), case.program) if options.given() else None
        given = (self.chip, case.network, case.frames)
        written = bundle.write(tmp_path / "bundle", *given, semantics=semantics, lowered=lowered)
        read = bundle.read(tmp_path / "bundle")
        again = bundle.write(tmp_path / "again", *given, semantics=semantics, lowered=lowered)
        assert again.manifest == written.manifest, "the same network and frames give another bundle"
        assert read.chip.profile == self.chip.profile
        assert read.manifest == json.loads(json.dumps(written.manifest))
        assert np.array_equal(read.golden.inputs, case.frames)
        assert_same_program(case.program, read.program, "program of the bundle")
        assert_same_program(case.program, self.chip.lower(read.network, options), "network of the bundle, lowered")
        for target in ("simulator", "reference"):
            verified = bundle.verify(read, target)
            verified.raise_if_different()
            assert (verified.semantics, verified.not_reported) == (semantics, ())


def _is_refused(chip: Chip, what: str, broken: tuple[dict[str, Any], dict[str, Any]]) -> bool:
    """Whether a damaged program is refused; an AssertionError where it is, and not as it must be."""
    try:
        made = chip.program(*broken)
    except FileFormatError as error:
        assert_one_line(error)
        return True
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}, expected FileFormatError") from error
    assert isinstance(made, Program), f"{what}: {type(made).__name__}"
    return False


def _leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in JSON-able data with the path to it."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _leaves(value, f"{path}/{key}")
    elif isinstance(data, list | tuple):
        for place, value in enumerate(data):
            yield from _leaves(value, f"{path}/{place}")
    else:
        yield path, data


def _damaged(
    tensors: Mapping[str, Integers], data: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[dict[str, Any], dict[str, Any]]]]:
    """What was done, and arrays and data with one thing wrong."""
    for name, array in tensors.items():
        rest = {key: value for key, value in tensors.items() if key != name}
        yield f"without array {name!r}", (rest, plain(data))
        for what, wrong in (("floats", array.astype(np.float64) + 0.5), ("an axis more", array[None])):
            yield f"array {name!r} with {what}", ({**rest, name: wrong}, plain(data))
    for path in _paths(data):
        for what, change in (("missing", _without), ("null", _null), ("a text", _text)):
            broken = plain(data)
            change(broken, path)
            yield f"{'/'.join(map(str, path))} is {what}", (dict(tensors), broken)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of an object, and to the first of every list."""
    inside = data.items() if isinstance(data, Mapping) else enumerate(data[:1]) if isinstance(data, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _without(data: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        data = data[key]
    del data[path[-1]]


def _null(data: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = None


def _text(data: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = "x"
