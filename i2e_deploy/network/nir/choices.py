"""What each reading of a NIR file would do on given frames, where the file leaves open how its neurons reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from i2e_deploy.network.neurons import IntegrateAndFire
from i2e_deploy.network.nir.neurons import AS_NIR, AS_SINABS, NeuronChoices, with_answers
from i2e_deploy.network.nir.read import ReadNir, read_nir_file


@dataclass(frozen=True)
class NirChoice:
    """One reading, and what it gives.

    Args:
        options: those of `read_nir` that ask for it, beside those that were given.
        assumed: it is what `read_nir` reads without them.
        output: sum of all that leaves the network; the number of spikes, where it ends in neurons.
        spikes: of all neurons of the network.
    """

    options: Mapping[str, str | int]
    assumed: bool
    output: float
    spikes: int


def nir_readings(
    path: str | Path, frames: Any, *, outputs: Sequence[str] | None = None, **given: Any
) -> tuple[NirChoice, ...]:
    """Run every reading that the file allows, in float; the one that `read_nir` assumes comes first.

    Args:
        path: a NIR file.
        frames: [B, T, C, H, W] or [B, T, N].
        outputs: see `read_nir`.
        given: `reset`, `max_spikes`, `min_v`, `dt` of `read_nir`: what is settled already.

    Returns:
        one for each reset, limit of spikes (any, 1) and lower bound (minus the threshold, none) that neither the
        file nor `given` says; none where all is said.

    Raises: see `read_nir` and `Network.run`.
    """
    read = read_nir_file(path, NeuronChoices(**given), outputs)
    open_ones = {name for neurons in read.neurons.values() for name in neurons.unsaid}
    if not open_ones:
        return ()
    first, second = (AS_SINABS, AS_NIR) if given.get("dt") is None else (AS_NIR, AS_SINABS)
    names = [name for name in ("reset", "max_spikes", "min_v") if name in open_ones]
    values = product(*((getattr(first, name), getattr(second, name)) for name in names))
    readings = [dict(zip(names, answers, strict=True)) for answers in values]
    return tuple(_run(read, options, options is readings[0], frames) for options in readings)


def _run(read: ReadNir, options: Mapping[str, Any], assumed: bool, frames: Any) -> NirChoice:
    layers = []
    for layer in read.network.layers:
        neurons = read.neurons.get(layer.name)
        answers = {name: value for name, value in options.items() if neurons and name in neurons.unsaid}
        op = with_answers(layer.op, answers) if isinstance(layer.op, IntegrateAndFire) else layer.op
        layers.append(replace(layer, op=op))
    trace = replace(read.network, layers=tuple(layers)).run(frames)
    spikes = sum(int(trace.layers[name].sum(dtype="float64")) for name in read.neurons)
    return NirChoice(dict(options), assumed, float(trace.output.sum(dtype="float64")), spikes)
