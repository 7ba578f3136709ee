"""The chips: `get("speck2f")` gives one; see `base` for what every chip is, `abilities` for what one may offer."""

from i2e_deploy.chips.base import Chip as Chip
from i2e_deploy.chips.base import Program as Program
from i2e_deploy.chips.check import CheckReport as CheckReport
from i2e_deploy.chips.check import Finding as Finding
from i2e_deploy.chips.integers import AnyNetwork as AnyNetwork
from i2e_deploy.chips.models import read_model as read_model
from i2e_deploy.chips.models import write_model as write_model
from i2e_deploy.chips.options import PLAIN as PLAIN
from i2e_deploy.chips.options import Injection as Injection
from i2e_deploy.chips.options import LowerOptions as LowerOptions
from i2e_deploy.chips.profile import load_profile as load_profile
from i2e_deploy.chips.registry import chip_names as chip_names
from i2e_deploy.chips.registry import get as get
from i2e_deploy.chips.session import Session as Session
from i2e_deploy.chips.trace import Trace as Trace
