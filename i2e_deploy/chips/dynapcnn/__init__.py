"""SynSense DYNAP-CNN chips (Speck2e, Speck2f): asynchronous convolution cores with 8-bit weights.

`program` holds the integers, `reference` defines what they do in time steps and as events, `engine` computes the same
fast. `lowering` makes them of a network, `checks` says whether they fit, `estimates` what they cost, `formats` are the
chip's files, `targets` the hardware. `chip` ties them together.
"""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.chips.dynapcnn.checks.fit import Fitted as Fitted
    from i2e_deploy.chips.dynapcnn.chip import DynapcnnChip as DynapcnnChip
    from i2e_deploy.chips.dynapcnn.lowering.reshape.change import Change as Change
    from i2e_deploy.chips.dynapcnn.lowering.reshape.change import Step as Step
    from i2e_deploy.chips.dynapcnn.peripherals import EventFilter as EventFilter
    from i2e_deploy.chips.dynapcnn.peripherals import Readout as Readout
    from i2e_deploy.chips.dynapcnn.program import CoreLayer as CoreLayer
    from i2e_deploy.chips.dynapcnn.program import CoreNetwork as CoreNetwork
    from i2e_deploy.chips.dynapcnn.program import Source as Source
    from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions as EventOptions
    from i2e_deploy.chips.dynapcnn.reference.readout import read_out as read_out
    from i2e_deploy.chips.dynapcnn.runnable import DynapcnnProgram as DynapcnnProgram
    from i2e_deploy.chips.dynapcnn.targets.board.camera import watch as watch
    from i2e_deploy.chips.dynapcnn.targets.board.fake import Character as Character
    from i2e_deploy.chips.dynapcnn.targets.board.fake import Faults as Faults
    from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna as fake_samna
    from i2e_deploy.chips.dynapcnn.targets.board.on_camera import on_camera as on_camera
    from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions as BoardOptions
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "checks.fit": "Fitted",
            "chip": "DynapcnnChip",
            "lowering.reshape.change": "Change Step",
            "peripherals": "EventFilter Readout",
            "program": "CoreLayer CoreNetwork Source",
            "reference.event_options": "EventOptions",
            "reference.readout": "read_out",
            "runnable": "DynapcnnProgram",
            "targets.board.camera": "watch",
            "targets.board.fake": "Character Faults fake_samna",
            "targets.board.on_camera": "on_camera",
            "targets.board.options": "BoardOptions",
        },
    )
