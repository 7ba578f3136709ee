"""Thresholds, shapes and layouts of time: right or one line. The oracle is the module's own forward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sinabs.layers as sl
import torch
from numpy.typing import NDArray
from sinabs.activation import MaxSpike, MultiSpike
from sinabs_reading import SHAPE, conv, differing, neurons, read
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import IntegrateAndFire, from_sinabs


def test_equal_thresholds_one_a_neuron_are_that_one() -> None:
    """108 neurons, 108 equal thresholds and bounds."""
    each = (3, 6, 6)
    module = nn.Sequential(conv(), neurons(spike_threshold=torch.full(each, 0.5), min_v_mem=torch.full(each, -0.5)))
    network = from_sinabs(module, SHAPE)
    op = network.layers[1].op
    assert isinstance(op, IntegrateAndFire)
    assert (op.threshold, op.min_v) == (0.5, -0.5)
    assert differing(network, module) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spike_threshold": torch.ones(108)}, r"'1' has 108 thresholds of shape \(108,\) for neurons of shape"),
        ({"min_v_mem": -torch.ones(2, 3, 6, 6)}, "'1' has 216 lower bounds of shape"),
        ({"spike_threshold": torch.ones(0)}, "'1': the threshold is empty"),
        ({"spike_threshold": None}, "'1': it has no spike_threshold"),
        ({"spike_threshold": torch.tensor(1.0, device="meta")}, "'1': .*'meta'"),
        ({"spike_fn": MaxSpike(2.5)}, "'1': the largest number of spikes is 2.5"),
        ({"spike_fn": None}, "'1' spikes by NoneType"),
        ({"spike_fn": type("MultiSpike", (MultiSpike,), {})}, "'1' spikes by MultiSpike of .*: use MultiSpike"),
        ({"reset_fn": type("MembraneReset", (), {"reset_value": 0.0})()}, "'1' resets by .*of sinabs"),
    ],
)  # fmt: skip
def test_values_of_neurons_are_right_or_one_line(options: Any, words: str) -> None:
    with pytest.raises((InputError, UnsupportedError), match=words):
        read(conv(), neurons(**options))


def test_numpy_integers_in_shapes_are_integers() -> None:
    two: Any = np.int64(2)
    layer = conv()
    layer.stride, layer.padding, layer.groups = (two, np.int32(1)), (np.int8(1), two), np.int64(1)
    module = nn.Sequential(layer, neurons(), nn.AvgPool2d(two), sl.SumPool2d([two, 1]))
    for shape in (np.array(SHAPE), torch.Size(SHAPE), list(SHAPE), tuple(np.int64(side) for side in SHAPE)):
        network = from_sinabs(module, shape)  # type: ignore[arg-type]
        assert network.input_shape == SHAPE
        assert all(type(side) is int for side in network.input_shape)
        assert differing(network, module) == 0
    for wrong in ((2, 8.0, 8), "288", 2, (2, "8", 8), (True, 8, 8)):
        with pytest.raises(InputError, match="input shape"):
            from_sinabs(module, wrong)  # type: ignore[arg-type]


def test_neurons_take_for_time_what_the_other_layers_do() -> None:
    """An IAF takes the channels behind a convolution for time."""
    with pytest.raises(UnsupportedError, match=r"'1' is an IAF, which takes \[B, T, ...\], and layer '0'"):
        read(conv(), sl.IAF())
    with pytest.raises(UnsupportedError, match="batch_size is 1 in layer '1' and 2 in layer '3'"):
        read(conv(), neurons(), nn.Conv2d(3, 3, 3), neurons(batch_size=2))
    torch.manual_seed(0)
    flat = nn.Sequential(
        nn.Linear(6, 5), sl.IAF(min_v_mem=-1.0, spike_threshold=0.2), nn.Linear(5, 4), sl.IAF(spike_threshold=0.1)
    )
    frames: NDArray[np.int64] = np.random.default_rng(0).poisson(1.0, (3, 7, 6))
    with torch.no_grad():
        theirs = flat(torch.from_numpy(frames).float()).numpy()
    assert theirs.any()
    np.testing.assert_array_equal(from_sinabs(flat, (6,)).run(frames).output, theirs)


def test_flattening_by_keyword_is_read_as_it_is_written() -> None:
    class Net(nn.Module):
        def __init__(self, **given: int) -> None:
            super().__init__()
            self.first, self.fire, self.last, self.given = conv(), neurons(), nn.Linear(108, 4), given

        def forward(self, x: Any) -> Any:
            return self.last(torch.flatten(self.fire(self.first(x)), **self.given))

    right = Net(end_dim=-1, start_dim=1)
    assert differing(from_sinabs(right, SHAPE), right) == 0
    with pytest.raises(UnsupportedError, match="uses flatten with end_dim=1"):
        from_sinabs(Net(end_dim=1), SHAPE)
