"""Images to event frames: the I2E algorithm (arXiv 2511.08065)."""

from i2e_deploy.conversion.convert import convert as convert
from i2e_deploy.conversion.reference import i2e_reference as i2e_reference
from i2e_deploy.conversion.threshold import RATIO as RATIO
from i2e_deploy.conversion.threshold import as_ratio as as_ratio
from i2e_deploy.conversion.torch_i2e import I2E as I2E
from i2e_deploy.conversion.torch_i2e import i2e_torch as i2e_torch
