"""`check` of a NIR file: another program's word on what was read, and what each reading would do on given frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.chips import AnyNetwork
    from i2e_deploy.chips.check import Finding
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.cli.recordings import Reading


def judged(
    model: Path, network: AnyNetwork, against: str, inputs: Path | None, read: Sequence[str], step_us: int,
    reading: Reading,
) -> AnyNetwork:  # fmt: skip
    """The network with a note of what was compared with `against`.

    Args:
        model: its `.nir` file.
        against: a framework that reads NIR, or a file of recorded data (`nir.write_data`).
        inputs: frames or a recording; a file of recorded data may hold them itself.
        read: options of the reader, as text.
        step_us: duration of a step of a recording.
        reading: what the command line says about a recording.

    Raises:
        UnsupportedError: the first layer that differs.
        InputError: the model is no NIR file, no such framework or file, or frames that are missing.
        MissingDependency: the framework is not installed.
    """
    from i2e_deploy.network import Network
    from i2e_deploy.network.nir.frameworks import judge_nir_with
    from i2e_deploy.network.nir.judge import judge_nir

    if model.suffix != ".nir" or not isinstance(network, Network):
        raise InputError(
            f"--against {against}: {model} is no .nir file; modules are judged by from_sinabs, from_slayer"
        )
    dt = _options(model, read).get("dt")
    frames = None if inputs is None else _frames(inputs, network.input_shape, step_us, reading)
    if Path(against).is_file():
        return judge_nir(network, against, frames, dt)
    if frames is None:
        raise InputError(
            f"--against {against}: give --input, the frames on which both run (or a file of recorded data)"
        )
    return judge_nir_with(against, network, model, frames, dt)


def choices(
    model: Path, network: AnyNetwork, inputs: Path, read: Sequence[str], step_us: int, reading: Reading
) -> list[Finding]:
    """What each way to read the neurons of a NIR file gives on the input; none where the file or an option says it."""
    from i2e_deploy.chips.check import Finding
    from i2e_deploy.network.nir.choices import nir_readings

    found = nir_readings(model, _frames(inputs, network.input_shape, step_us, reading), **_options(model, read))
    findings = []
    for choice in found:
        options = " ".join(f"--read {name}={value}" for name, value in choice.options.items())
        value = f"{choice.spikes:,} spikes, sum of the output {choice.output:,g}, with {options}"
        fix = "as it is read now" if choice.assumed else ""
        findings.append(Finding("reading of neurons", "", value, "", "", "info", fix))
    return findings


def _options(model: Path, read: Sequence[str]) -> dict[str, Any]:
    from i2e_deploy.chips.models import parsed_options
    from i2e_deploy.cli.common import parse_options
    from i2e_deploy.network.nir.read import READ_OPTIONS

    return parsed_options(parse_options(read), READ_OPTIONS, model)


def _frames(inputs: Path, shape: tuple[int, ...], step_us: int, reading: Reading) -> Integers:
    """Frames [B, T, ...] of a file; a recording is counted into steps."""
    from i2e_deploy.cli.recordings import read_input
    from i2e_deploy.events.steps import count_events

    given = read_input(inputs, shape, reading)
    if given.dtype.names is None:
        return cast("Integers", given)
    if len(shape) != 3:
        raise InputError(
            f"--input {inputs} is a recording, and the network takes {shape[0]} values: give frames (.npy)"
        )
    return count_events(cast("Any", given), (shape[0], shape[1], shape[2]), step_us)
