"""Epochs in which all steps of a sample enter as one (`FitConfig.merged`): which networks learn the same in them."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from i2e_deploy.chips import AnyNetwork
from i2e_deploy.errors import InputError
from i2e_deploy.network import Network
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.op import Op
from i2e_deploy.network.pooling import MaxPool2d

#: Layers that a message names at most.
NAMED = 3


def check_merged(module: nn.Module, read: AnyNetwork) -> None:
    """Refuse a network that does something else with the sum of its steps than with one after the other.

    Args:
        module: what is trained.
        read: the same as the chip takes it.

    Raises:
        InputError: it does; the message names the layers.
    """
    found = [f"{name} (batch norm)" for name, part in module.named_modules() if isinstance(part, _BatchNorm)]
    if isinstance(read, Network):
        found += [f"{layer.name} ({why})" for layer in read.layers if (why := _not_of_sums(layer.op))]
    else:
        found.append(f"neurons of {read.title}")
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise InputError(
            f"training: merged epochs are for neurons that only add, without biases and norms, and this network has "
            f"{', '.join(found[:NAMED])}{more}: take merged 0"
        )


def _not_of_sums(op: Op) -> str:
    """Why the sum of the steps is another input than the steps; "": it is not, but for the order of spikes."""
    if isinstance(op, LeakyIntegrateAndFire):
        return "neurons that leak, or have other states"
    if isinstance(op, IntegrateAndFire) and op.reset != "subtract":
        return "a reset to 0"
    if isinstance(op, IntegrateAndFire) and op.max_spikes is not None:
        return f"at most {op.max_spikes} spike{'s' * (op.max_spikes > 1)} a step"
    if isinstance(op, MaxPool2d):
        return "a maximum"
    if isinstance(op, Delay):
        return "a delay"
    return "a bias in every step" if getattr(op, "bias", None) is not None else ""
