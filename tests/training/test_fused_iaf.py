"""EXACT: the fused layer spikes as Sinabs' own does; its gradients agree but for the order of summation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sinabs.activation import Heaviside, MembraneReset, SingleSpike
from sinabs.layers import IAFSqueeze
from torch import nn

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import from_sinabs
from i2e_deploy.training.fused_iaf import FusedIAF

STEPS = 6


@given(
    st.integers(0, 2**31), st.floats(0.25, 3, width=32), st.floats(-3, -0.125, width=32), st.floats(0.25, 2, width=32)
)
def test_the_fused_layer_equals_sinabs(seed: int, threshold: float, min_v: float, window: float) -> None:
    torch.manual_seed(seed)
    options = {
        "num_timesteps": STEPS,
        "spike_threshold": torch.tensor(threshold),
        "min_v_mem": min_v,
        "surrogate_grad_fn": Heaviside(window=window),
    }
    layers = (IAFSqueeze(**options), FusedIAF(**options))
    layout = torch.channels_last if seed % 2 else torch.contiguous_format
    weight = torch.randn(3 * STEPS, 2, 4, 3)
    for _ in range(2):  # the second call starts from the state that the first left
        current = (torch.randn(3 * STEPS, 2, 4, 3) * 2).contiguous(memory_format=layout)
        results = []
        for layer in layers:
            leaf = current.clone().requires_grad_()
            spikes = layer(leaf)
            (spikes * weight).sum().backward()
            assert leaf.grad is not None
            results.append((spikes.detach(), layer.v_mem.detach().clone(), leaf.grad))
            layer.v_mem.detach_()
        (spikes, state, gradient), (our_spikes, our_state, our_gradient) = results
        assert spikes.sum() > 0
        assert torch.equal(our_spikes, spikes)
        assert torch.equal(our_state, state)
        torch.testing.assert_close(our_gradient, gradient, rtol=1e-4, atol=1e-5)


def test_options_that_are_set_later_are_refused_in_the_next_pass() -> None:
    layer = FusedIAF(num_timesteps=STEPS, min_v_mem=-1.0, surrogate_grad_fn=Heaviside())
    layer.spike_fn = SingleSpike
    with pytest.raises(UnsupportedError, match="the fused layer does MultiSpike"):
        layer(torch.ones(STEPS, 2, 3, 3))


def test_it_is_a_sinabs_layer_to_everybody_else() -> None:
    layer = FusedIAF(num_timesteps=STEPS, min_v_mem=-1.0, surrogate_grad_fn=Heaviside())
    network = from_sinabs(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), layer), (1, 2, 2))
    assert (
        network.layers[1].op
        == from_sinabs(
            nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), IAFSqueeze(num_timesteps=STEPS, min_v_mem=-1.0)), (1, 2, 2)
        )
        .layers[1]
        .op
    )


@pytest.mark.parametrize(
    "options",
    [
        {"spike_fn": SingleSpike},
        {"reset_fn": MembraneReset()},
        {"min_v_mem": None},
        {"min_v_mem": 0.0},
        {"tau_syn": 5.0},
        {"surrogate_grad_fn": torch.sigmoid},
    ],
)
def test_other_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UnsupportedError, match="use IAFSqueeze"):
        FusedIAF(**{"num_timesteps": STEPS, "min_v_mem": -1.0, "surrogate_grad_fn": Heaviside(), **options})
