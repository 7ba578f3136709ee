"""From a program to a configured board: what to monitor, the slow clock, cores and fields."""

from __future__ import annotations

from collections.abc import Mapping

from i2e_deploy.chips.dynapcnn.checks.placement import place
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.targets.board import samna_link
from i2e_deploy.chips.dynapcnn.targets.board.link import Board
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import CheckFailed, InputError, UnsupportedError

#: The slow clock of the board, Hz (Datasheet, 3.2.6).
SLOW_CLOCK_HZ = (10, 10_000)
WRITING = "while its configuration was written"


def monitored(program: CoreNetwork, options: BoardOptions) -> tuple[str, ...]:
    """Layers to monitor, in network order: those that were asked for, and those that leave the network.

    Raises:
        InputError: a layer that the program does not have.
    """
    outputs = {source.layer for source in program.outputs}
    wanted = outputs | set(options.monitor or ())
    strangers = sorted(wanted - set(program.layer_names))
    if strangers:
        raise InputError(f"no layer {strangers[0]!r} to monitor: choose of {', '.join(program.layer_names)}")
    return tuple(name for name in program.layer_names if name in wanted)


def slow_clock_hz(step_us: int, needed_for: str) -> int:
    """Rate of the slow clock that ticks once a step.

    Raises:
        UnsupportedError: the board's clock has no such rate.
    """
    low, high = SLOW_CLOCK_HZ
    if not low <= 1e6 / step_us <= high:
        raise UnsupportedError(
            f"steps of {step_us} us need a slow clock of {1e6 / step_us:g} Hz for {needed_for}: the board has {low} to "
            f"{high} Hz; choose steps of {1_000_000 // high} to {1_000_000 // low} us"
        )
    return 1_000_000 // step_us


def place_on(board: Board, program: CoreNetwork) -> dict[str, int]:
    """The core of every layer on the board's chip.

    Raises:
        CheckFailed: the program does not fit.
    """
    slots, crowded = place(program.layers, load_profile(board.chip))
    if crowded:
        raise CheckFailed(f"the program does not fit {board.chip}: no cores for {', '.join(crowded)}")
    return {slot.layer: slot.core for slot in slots}


def configure(
    board: Board,
    program: CoreNetwork,
    cores: Mapping[str, int],
    watched: tuple[str, ...],
    camera: bool = False,
    pixels: bool = False,
) -> None:
    """Write a program's configuration; all states are zero afterwards.

    Args:
        watched: layers whose spikes are sent out.
        camera: the chip's own pixels feed the cores.
        pixels: send out the events of the pixels too.

    Raises:
        CheckFailed: samna refuses it.
        SourceLost: the board went away.
        UnsupportedError: a layer that the chip has no configuration for.
    """
    data = build_config(program, cores, board.chip, watched)
    data["dvs_layer"] |= {"pass_sensor_events": camera, "raw_monitor_enable": pixels}
    configuration = board.module.configuration.SpeckConfiguration()
    samna_link.apply(configuration, data)
    board.call(WRITING, samna_link.validate, board.module, configuration)
    board.call(WRITING, board.device.get_model().apply_configuration, configuration)
