"""The DYNAP-CNN family as a `Chip`: check and lowering over a profile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.chips.base import Chip, Program
from i2e_deploy.chips.check import CheckReport, Slot
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.dynapcnn.checks.examine import Asked, examine, unreadable
from i2e_deploy.chips.dynapcnn.checks.fit import Fitted, make_fit, with_proposal
from i2e_deploy.chips.dynapcnn.checks.split import split_to_fit
from i2e_deploy.chips.dynapcnn.estimates.activity import Activity, channel_spikes
from i2e_deploy.chips.dynapcnn.estimates.energy import Coefficients
from i2e_deploy.chips.dynapcnn.event.options import EventOptions
from i2e_deploy.chips.dynapcnn.export.config import build_config
from i2e_deploy.chips.dynapcnn.lowering.quantise import Quantised, core_layer, quantise
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, arrange, sensor_of
from i2e_deploy.chips.dynapcnn.program import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.program_file import read_program
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.network import AnyNetwork, Network


class DynapcnnChip(Chip):
    """A chip of the family, by the name of its profile; `coefficients` are those of one board, for `costs`.

    Raises:
        InputError: no such profile.
    """

    def __init__(self, name: str, coefficients: Coefficients | None = None) -> None:
        self.profile, self.coefficients = load_profile(name), coefficients

    def check(
        self,
        network: AnyNetwork,
        split: bool = False,
        program: DynapcnnProgram | None = None,
        activity: Activity | None = None,
    ) -> CheckReport:
        """See `Chip.check`.

        Args:
            split: look at what `lower(network, split=True)` makes, where that is possible.
            program: what was made of the network, if not by `lower`: its integers are looked at.
            activity: of that program; placement and rules then know the load of every core.
        """
        try:
            whole = _float(network)
        except UnsupportedError as error:
            return unreadable(self.profile, error)
        report = examine(whole, self.profile, Asked(split, program, activity))
        if report.fits or not report.layers:
            return report
        return with_proposal(report, whole, self.profile)

    def lower(self, network: AnyNetwork, split: bool = False) -> DynapcnnProgram:
        """See `Chip.lower`. One scale a layer, as Sinabs discretises; see `quantise`.

        Args:
            split: put layers that find no core on two, where that makes the network fit; see `split`.

        Raises:
            CheckFailed: with `split`, it does not help.
        """
        stages, outputs = arrange(_float(network))
        integers = [quantise(stage) for stage in stages]
        _refuse_unusable(stages, integers)
        channels, height, width = _float(network).input_shape
        layers = tuple(core_layer(stage, q) for stage, q in zip(stages, integers, strict=True))
        program = DynapcnnProgram((channels, height, width), layers, outputs, sensor_of(_float(network)))
        return split_to_fit(program, self.profile) if split else program

    def make_fit(self, network: AnyNetwork, frames: Integers | None = None) -> Fitted:
        """The network with the smallest set of changes found after which it fits: `check --apply`; see `fit`.

        Args:
            frames: [B, T, C, H, W] that stand for the use: where channels must go, the most active are then kept.

        Raises:
            CheckFailed: no such changes were found.
        """
        spikes = None if frames is None else channel_spikes(self.lower(network), frames)
        return make_fit(_float(network), self.profile, spikes)

    def calibrate(self, network: AnyNetwork, frames: Integers, split: bool = False) -> DynapcnnProgram:
        """Lower with scales chosen on frames [B, T, C, H, W], see `calibrate`; `lower` is exact to Sinabs."""
        from i2e_deploy.chips.dynapcnn.lowering.calibrate import calibrate

        program = calibrate(_float(network), frames)
        return split_to_fit(program, self.profile) if split else program

    def calibrated(self, path: Path) -> DynapcnnChip:
        """See `Chip.calibrated` and `power_file`."""
        from i2e_deploy.chips.dynapcnn.estimates.power_file import read_coefficients

        return DynapcnnChip(self.profile.name, read_coefficients(path, self.profile.name))

    def costs(
        self,
        program: Program,
        frames: Integers | Events,
        step_us: int = 1000,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
        options: EventOptions | None = None,
    ) -> Costs:
        """See `Chip.costs` and `costs.costs`; `options` say the duration of a step too, where they are given."""
        from i2e_deploy.chips.dynapcnn.estimates.costs import costs

        assert isinstance(program, DynapcnnProgram)
        options = EventOptions(step_us=step_us) if options is None else options
        return costs(program, self.profile, frames, options, trace, cores, self.coefficients)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> dict[str, bytes]:
        """`speck2f.json`: the chip's complete configuration, see `config`."""
        assert isinstance(program, DynapcnnProgram)
        cores = {slot.layer: slot.core for slot in placement}
        data = build_config(program, cores, self.profile.name)
        return {f"{self.profile.name}.json": json.dumps(data, separators=(",", ":")).encode()}

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> DynapcnnProgram:
        """See `Chip.program`."""
        return read_program(tensors, data)


def _float(network: AnyNetwork) -> Network:
    if not isinstance(network, Network):
        raise UnsupportedError(
            "this chip takes float networks of integrate-and-fire neurons, not SLAYER's integer blocks"
        )
    return network


def _refuse_unusable(stages: Sequence[Stage], integers: Sequence[Quantised]) -> None:
    bad = [
        f"layer {stage.name!r}: the threshold {stage.neuron.threshold:g} rounds to 0 beside weights up to "
        f"{np.abs(stage.weight).max():g} and lower bound {stage.neuron.min_v}: "
        + (
            "min_v_mem=None asks for the whole 16-bit range; set e.g. min_v_mem=-1.0"
            if stage.neuron.min_v is None
            else "scale the weights down or raise spike_threshold"
        )
        for stage, q in zip(stages, integers, strict=True)
        if q.threshold < 1
    ]
    if bad:
        raise UnsupportedError("; ".join(bad))
