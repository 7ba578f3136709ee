"""What profiles say of records and open points, what a check says of them, and what a profile may not leave out."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn.reference.event_options import UNSETTLED
from i2e_deploy.chips.profile import OURS, Profile, load_profile, parse_profile, profile_names
from i2e_deploy.errors import FileFormatError
from i2e_deploy.network import Add, Conv2d, IntegrateAndFire, Layer, Network, Pool2d, chain
from i2e_deploy.network.op import Array

NEURON = IntegrateAndFire(1.0, -1.0)


def weights(*shape: int) -> Array:
    return np.random.default_rng(0).normal(0.1, 0.3, shape).astype(np.float32)


def open_for(network: Network) -> set[str]:
    findings = [f for f in get("speck2f").check(network).findings if f.rule == "open on silicon"]
    assert [f.severity for f in findings] == ["info"]
    return set(str(findings[0].value).split(", "))


@pytest.mark.parametrize("name", profile_names())
def test_measured_and_not_measured_are_told_apart(name: str) -> None:
    """A cost of certainty `record` names the chip that it was measured on, and it is of this kind; others name none."""
    profile = load_profile(name)
    kind = {"speck2f": "Speck2f", "speck2e": "Speck2e", "dynapcnn": "DYNAP-CNN", "loihi2": "Loihi 2"}[name]
    for estimate in profile.estimates.values():
        assert estimate.measured_on.startswith(kind) is (estimate.certainty == "record")
    for record in profile.records:
        assert record.chip.startswith(kind)
    assert profile.open_points


@pytest.mark.parametrize("name", ["speck2f", "speck2e", "dynapcnn"])
def test_every_option_that_is_open_is_an_open_point(name: str) -> None:
    """`EventOptions` and the profile must not differ in what they call settled."""
    assert set(UNSETTLED) <= {point.name for point in load_profile(name).open_points}


def test_speck2f_says_what_rests_on_a_record() -> None:
    settled = " ".join(point for record in load_profile("speck2f").records for point in record.settles)
    for words in ("v >= threshold", "subtracts", "lower bound", "as Sinabs", "polarity", "once a tick"):
        assert words in settled
    for words in ("sweep", "overflow", "weight of 0", "merge", "phase", "pooling"):
        assert words not in settled


def test_a_plain_layer_touches_few_open_points() -> None:
    one = chain((2, 8, 8), {"c": Conv2d(weights(3, 2, 3, 3) + 1), "n": NEURON})
    assert open_for(one) == {"last-spikes", "overflow", "rates"}


def test_layers_zeros_biases_merges_and_rests_of_pooling_add_theirs() -> None:
    plain = {"c": Conv2d(weights(3, 2, 3, 3) + 1), "n": NEURON}
    two = chain((2, 8, 8), {**plain, "d": Conv2d(weights(3, 3, 1, 1) + 1), "m": NEURON})
    assert open_for(two) - {"last-spikes", "overflow", "rates"} == {"sweep"}
    sparse = weights(3, 2, 3, 3) + 1
    sparse[0, 0] = 0
    assert "zero_weights" in open_for(chain((2, 8, 8), {"c": Conv2d(sparse), "n": NEURON}))
    for sign, added in ((1.0, {"tick", "leak_fires"}), (-1.0, {"tick"})):
        biased = Conv2d(weights(3, 2, 3, 3) + 1, np.full(3, sign, np.float32))
        told = open_for(chain((2, 8, 8), {"c": biased, "n": NEURON}))
        assert told & {"tick", "leak_fires"} == added
    for size, rest in ((8, False), (9, True)):  # maps of 6 and 7 rows
        pooled = {**plain, "p": Pool2d((2, 2)), "d": Conv2d(weights(3, 3, 1, 1) + 1), "m": NEURON}
        assert ("outside_pool" in open_for(chain((2, size, size), pooled))) is rest
    branches = Network(
        (2, 8, 8),
        (
            Layer("a", Conv2d(weights(3, 2, 1, 1) + 1), ("input",)), Layer("an", NEURON, ("a",)),
            Layer("b", Conv2d(weights(3, 2, 1, 1) + 1), ("input",)), Layer("bn", NEURON, ("b",)),
            Layer("s", Add(), ("an", "bn")), Layer("c", Conv2d(weights(2, 3, 1, 1) + 1), ("s",)),
            Layer("cn", NEURON, ("c",)),
        ),
    )  # fmt: skip
    assert "merge" in open_for(branches)


def profile_with(old: str, new: str) -> Profile:
    text = (resources.files(OURS) / "speck2f.toml").read_text()
    assert old in text
    return parse_profile(text.replace(old, new).encode(), "speck2f.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (', measured_on = "Speck2f (two boards)"', "", "synop_energy.*measured_on and certainty record"),
        ('certainty = "record", meas', 'certainty = "inferred", meas', "measured_on and certainty record"),
        ("low = 302.0, high = 360.0", "low = 360.0, high = 302.0", "low <= high"),
        ('certainty = "record", measured_on = "Speck2f (two boards)"', 'certainty = "sure"', "a certainty of"),
        ('figure = "all ten readings equal"', 'figure = ""', "record 'leak' needs"),
        ('id = "leak"\n', "", "missing or wrong"),
    ],
)  # fmt: skip
def test_a_profile_that_leaves_evidence_out_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        profile_with(old, new)
