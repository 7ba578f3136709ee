"""The chips: `get("speck2f")` gives one; see `base` for what it can do."""

from i2e_deploy.chips.base import Chip as Chip
from i2e_deploy.chips.base import Program as Program
from i2e_deploy.chips.base import chip_names as chip_names
from i2e_deploy.chips.base import get as get
from i2e_deploy.chips.check import CheckReport as CheckReport
from i2e_deploy.chips.check import Finding as Finding
from i2e_deploy.chips.profile import load_profile as load_profile
from i2e_deploy.chips.trace import Trace as Trace
