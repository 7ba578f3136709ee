"""The fused pass of leaky neurons against the same neurons written as tensor operations."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.training.fused_lif import fused_lif
from i2e_deploy.training.ms_resnet import LIF


@given(
    seed=st.integers(0, 2**20), shape=st.tuples(*[st.integers(1, 5)] * 5), innermost=st.booleans(),
    tau=st.sampled_from([1.0, 2.0, 3.7]), threshold=st.sampled_from([0.5, 1.0]),
)  # fmt: skip
def test_spikes_are_equal_and_gradients_agree(
    seed: int, shape: tuple[int, ...], innermost: bool, tau: float, threshold: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    plain = (2 * torch.randn(shape, generator=generator)).round(decimals=1)  # some exactly at the threshold
    stored = plain.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) if innermost else plain
    one, other = plain.clone().requires_grad_(), stored.detach().requires_grad_()
    wanted, found = LIF(tau, threshold).stepwise(one), fused_lif(other, tau, threshold)
    assert torch.equal(wanted, found)
    weight = torch.randn(shape, generator=generator)
    (wanted * weight).sum().backward()  # type: ignore[no-untyped-call]
    (found * weight).sum().backward()  # type: ignore[no-untyped-call]
    assert one.grad is not None
    assert other.grad is not None
    torch.testing.assert_close(other.grad, one.grad)  # sums in another order, float32


def test_neurons_of_a_layer_without_an_image_are_fused_too() -> None:
    inputs = torch.randn(3, 6, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(LIF()(inputs), LIF().stepwise(inputs))


def test_channels_that_are_innermost_stay_so() -> None:
    inputs = torch.randn(2, 3, 4, 4, 5).permute(0, 1, 4, 2, 3)
    assert fused_lif(inputs, 2.0, 1.0).stride() == inputs.stride()
