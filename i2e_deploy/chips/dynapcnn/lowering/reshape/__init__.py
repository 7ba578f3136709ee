"""A float network changed so that its layers take less of a core; each change is a pure function on the network."""

from i2e_deploy.chips.dynapcnn.lowering.reshape.change import Change as Change
from i2e_deploy.chips.dynapcnn.lowering.reshape.change import Step as Step
from i2e_deploy.chips.dynapcnn.lowering.reshape.change import apply_change as apply_change
from i2e_deploy.chips.dynapcnn.lowering.reshape.change import apply_changes as apply_changes
from i2e_deploy.chips.dynapcnn.lowering.reshape.change import described as described
