"""Images to event frames: the I2E algorithm (arXiv 2511.08065)."""

from typing import TYPE_CHECKING, Any

from i2e_deploy.conversion.engine import convert as convert
from i2e_deploy.conversion.reference import i2e_reference as i2e_reference
from i2e_deploy.conversion.threshold import RATIO as RATIO
from i2e_deploy.conversion.threshold import as_ratio as as_ratio

if TYPE_CHECKING:
    from i2e_deploy.conversion.torch_i2e import I2E as I2E
    from i2e_deploy.conversion.torch_i2e import i2e_torch as i2e_torch


def __getattr__(name: str) -> Any:
    """`I2E` and `i2e_torch` on first use: workers that only convert need not import torch."""
    if name in ("I2E", "i2e_torch"):
        from i2e_deploy.conversion import torch_i2e

        return getattr(torch_i2e, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
