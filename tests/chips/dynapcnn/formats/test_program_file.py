"""A program from a file that somebody else made: read as it is, or refused in one line, and never anything else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.errors import FileFormatError, I2EDeployError
from i2e_deploy.network import Add, Conv2d, IntegrateAndFire, Layer, Network, Pool2d, Sensor

Path = tuple[Any, ...]


def whole() -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and JSON of a program with a sensor, branches, a merge and pooling."""
    rng, neuron = np.random.default_rng(0), IntegrateAndFire(1.0, -1.0)

    def conv(*shape: int) -> Conv2d:
        return Conv2d(rng.normal(0.1, 0.3, shape).astype(np.float32))

    layers = [Layer("s", Sensor(), ("input",)), Layer("a", conv(3, 2, 3, 3), ("s",)), Layer("an", neuron, ("a",))]
    for name in "bc":
        layers += [Layer(name, conv(2, 3, 3, 3), ("an",)), Layer(f"{name}n", neuron, (name,))]
    layers += [Layer("sum", Add(), ("bn", "cn")), Layer("pool", Pool2d((2, 2), "sum"), ("sum",))]
    layers += [Layer("d", conv(2, 2, 2, 2), ("pool",)), Layer("dn", neuron, ("d",))]
    tensors, data = DynapcnnChip("speck2f").lower(Network((2, 10, 10), tuple(layers))).to_tensors()
    return tensors, json.loads(json.dumps(data))


TENSORS, DATA = whole()
VALUES: list[Any] = [
    0, -1, 1, 2, 7, 2**15, 2**31, 2**62, 2**70, 1e308, float("nan"), 0.5, None, True, "", "x", "input", "a", [], {},
    [1], [1, 1], [0, 0], [-1, 1], [2**40, 2], [2, 2, 2], [[0, 2**60], [0, 1]],
]  # fmt: skip


def places(data: Any, path: Path = ()) -> Iterator[Path]:
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(path: Path, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(DATA)
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


def run(program: DynapcnnProgram) -> None:
    frames = np.zeros((1, 2, *program.input_shape), np.int64)
    frames[..., 0, 0] = 3
    for semantics in ("timestep", "event"):
        slow, fast = (program.run(frames, semantics, engine).output for engine in ("reference", "fast"))
        np.testing.assert_array_equal(slow, fast)


def test_the_program_itself_is_read() -> None:
    run(DynapcnnProgram.of(from_tensors(TENSORS, DATA)))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(places(DATA))), st.sampled_from(VALUES))
def test_a_changed_program_runs_or_is_refused_in_one_line(path: Path, value: Any) -> None:
    try:
        program = DynapcnnProgram.of(from_tensors(TENSORS, changed(path, value)))
        if prod(program.input_shape) < 10_000:
            run(program)
    except I2EDeployError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("outputs", 0, "feature_shift"), 1, "has a feature shift"),
        (("outputs",), [], "outputs are empty"),
        (("outputs", 0, "layer"), "nobody", "'nobody'"),
        (("outputs", 0, "pool"), [64, 64], "leaves nothing"),
        (("layers", 0, "sources", 0, "layer"), "d", "'d'"),  # a loop
        (("layers", 0, "sources"), [], "sources of layer 'a'"),
        (("layers", 1, "name"), "a", "layer 'a'"),
        (("layers", 0, "stride"), [0, 1], "stride or bias of layer 'a'"),
        (("layers", 0, "padding"), [-1, 0], "expected an integer in 0..32768"),
        (("layers", 0, "threshold"), 0, "expected an integer in 1..32767"),
        (("layers", 0, "min_v"), 1, "expected an integer in -32768..0"),
        (("layers", 0, "output_shape"), [3, 9, 9], "output shape of layer 'a'"),
        (("layers", 3, "input_shape"), [2, 6, 6], "input shape of layer 'd'"),
        (("input_shape"), [2, 2**40, 1], "expected an integer in 1..32768"),
    ],
)
def test_what_is_wrong_is_said(path: Any, value: Any, words: str) -> None:
    with pytest.raises(FileFormatError, match="not a DYNAP-CNN program") as caught:
        DynapcnnProgram.of(from_tensors(TENSORS, changed(path if isinstance(path, tuple) else (path,), value)))
    assert words in str(caught.value)
