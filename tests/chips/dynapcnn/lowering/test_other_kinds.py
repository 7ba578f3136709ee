"""EXACT: layers that a core has by another name (concatenation, scales, neurons that do not leak) beside the float run;
and what a core has not is refused with the way out."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from i2e_deploy import network as nw
from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.neurons import parameter


def whole(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Weights that quantising leaves as they are: whole numbers, the largest 127."""
    weight = rng.integers(-40, 60, shape).astype(np.float32)
    weight.flat[0] = 127
    return weight


def branches(rng: np.random.Generator, flat: bool) -> nw.Network:
    """Two branches side by side, before a convolution or flattened before a linear layer."""
    neurons = nw.IntegrateAndFire(90)
    rows: list[tuple[str, nw.Op, tuple[str, ...]]] = [
        ("a", nw.Conv2d(whole(rng, 3, 2, 3, 3), padding=(1, 1)), ("input",)),
        ("na", neurons, ("a",)),
        ("b", nw.Conv2d(whole(rng, 4, 2, 1, 1)), ("input",)),
        ("nb", neurons, ("b",)),
        ("pa", nw.Pool2d((2, 2), "sum"), ("na",)),
        ("pb", nw.Pool2d((2, 2), "sum"), ("nb",)),
    ]
    if flat:
        rows += [("fa", nw.Flatten(), ("pa",)), ("fb", nw.Reshape((4 * 16,)), ("pb",))]
        rows += [("both", nw.Concat(), ("fa", "fb")), ("last", nw.Linear(whole(rng, 5, 7 * 16)), ("both",))]
    else:
        rows += [("both", nw.Concat(), ("pa", "pb")), ("last", nw.Conv2d(whole(rng, 5, 7, 3, 3)), ("both",))]
    rows.append(("end", nw.IntegrateAndFire(200), ("last",)))
    return nw.Network((2, 8, 8), tuple(nw.Layer(*row) for row in rows))


def assert_as_float(network: nw.Network, frames: NDArray[Any]) -> None:
    trace = get("speck2f").lower(network).run(frames)
    wanted = network.run(frames).output
    np.testing.assert_array_equal(trace.output, wanted)
    assert wanted.any()


@pytest.mark.parametrize("flat", [False, True])
def test_concatenation_is_a_feature_shift(flat: bool) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        network, frames = branches(rng, flat), rng.integers(0, 3, (2, 6, 2, 8, 8))
        assert_as_float(network, frames)
        assert get("speck2f").check(network).fits
    program = get("speck2f").lower(network)
    assert isinstance(program, DynapcnnProgram)
    shifts = {source.layer: source.feature_shift for source in program.layers[-1].sources}
    assert shifts == {"a": 0, "b": 3}


def test_flat_maps_of_other_sides_cannot_stand_side_by_side() -> None:
    network = branches(np.random.default_rng(4), flat=True)
    layers = [replace(row, op=nw.Pool2d((4, 4), "sum")) if row.name == "pb" else row for row in network.layers]
    layers = [replace(row, op=nw.Reshape((16,))) if row.name == "fb" else row for row in layers]
    smaller = nw.Linear(np.ones((5, 64), np.float32))
    layers = [replace(row, op=smaller) if row.name == "last" else row for row in layers]
    with pytest.raises(UnsupportedError, match="joins maps of"):
        get("speck2f").lower(nw.Network((2, 8, 8), tuple(layers)))


def test_neurons_that_do_not_leak_and_scales_become_what_a_core_has() -> None:
    rng = np.random.default_rng(5)
    for reset in ("subtract", "value"):
        lif = nw.LeakyIntegrateAndFire(
            parameter(1), parameter(50), gain=parameter(2), bias=parameter([[[3]], [[-2]], [[0]]]), max_spikes=None,
            reset=reset,
        )  # fmt: skip
        half = nw.Conv2d((whole(rng, 3, 2, 3, 3) / 8).astype(np.float32))
        ops = {"up": nw.Scale(parameter(4)), "conv": half, "n": lif}
        network = nw.chain((2, 6, 6), ops)
        assert_as_float(network, rng.integers(0, 2, (2, 6, 2, 6, 6)))


def test_refusals_name_the_way_out() -> None:
    conv, lif = nw.Conv2d(np.ones((2, 2, 3, 3), np.float32)), nw.LeakyIntegrateAndFire(parameter(0.9), parameter(1))
    cases: list[tuple[nw.Op, str]] = [
        (lif, "constant leak.*IAFSqueeze.*Loihi 2"),
        (replace(lif, decay=parameter(1), late_reset=True), "this one does otherwise"),
        (replace(lif, decay=parameter(1), backlog=True), "does otherwise.*backlog"),
        (replace(lif, current_decay=parameter(0.5)), "no synaptic current"),
        (replace(lif, threshold=None), "put integrate-and-fire neurons there"),
        (nw.MaxPool2d((2, 2), (2, 2)), r"nn.AvgPool2d\(\(2, 2\)\)"),
        (nw.Delay(parameter(1)), "feed-forward"),
        (nw.Scale(parameter(2), parameter(1)), "put the factor into a convolution"),
        (nw.Reshape((4, 2, 4)), "keeps rows and columns"),
    ]
    for op, text in cases:
        network = nw.chain((2, 6, 6), {"conv": conv, "fire": nw.IntegrateAndFire(), "odd": op})
        with pytest.raises(UnsupportedError, match=text):
            get("speck2f").lower(network)
        assert not get("speck2f").check(network).fits


def test_an_input_that_is_no_image_hides_no_other_reason() -> None:
    lif = nw.LeakyIntegrateAndFire(parameter(0.9), parameter(1))
    network = nw.chain((12,), {"w": nw.Linear(np.ones((3, 12), np.float32)), "lif": lif})
    with pytest.raises(UnsupportedError, match=r"input has shape \(12,\).*layer 'lif' is a LeakyIntegrateAndFire"):
        get("speck2f").lower(network)
