"""Stages without values, and what a change makes of their shapes: enough to look for changes quickly.

Only shapes are kept (weights are one zero, repeated), so that thousands of sets of changes can be tried; a set that
does is then made for real and checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.checks.placement import cores_of
from i2e_deploy.chips.dynapcnn.checks.rules import SHAPE_RULES
from i2e_deploy.chips.dynapcnn.checks.split import splits_that_fit
from i2e_deploy.chips.dynapcnn.lowering.quantise import Quantised
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, arrange
from i2e_deploy.chips.dynapcnn.program import Source
from i2e_deploy.chips.profile import Profile
from i2e_deploy.network import Network

Stages = tuple[Stage, ...]
_NO_INTEGERS = Quantised(np.zeros((1, 1, 1, 1), np.int8), None, 1, -1, 1.0)


def shapes_of(network: Network) -> tuple[Stages, tuple[Source, ...]]:
    """The stages of a network without values, and its outputs; see `arrange` for errors."""
    stages, outputs = arrange(network)
    return tuple(_with(stage, stage.weight.shape, stage.output_shape) for stage in stages), outputs


def fewer_channels(stages: Stages, members: Sequence[str], count: int) -> Stages:
    """Stages with `count` output features in `members`, and as many input channels of the layers after them."""

    def changed(stage: Stage) -> Stage:
        features, channels, *kernel = stage.weight.shape
        output = stage.output_shape
        if stage.name in members:
            features, output = count, (count, *output[1:])
        if any(source.layer in members for source in stage.sources):
            channels = count
        return _with(stage, (features, channels, *kernel), output)

    return tuple(changed(stage) for stage in stages)


def smaller_kernel(stages: Stages, name: str, side: int) -> Stages:
    """Stages with a kernel of `side` x `side` in one of them; its padding shrinks alike."""

    def changed(stage: Stage) -> Stage:
        features, channels, *kernel = stage.weight.shape
        vertical, horizontal = (max(0, p - (k - side) // 2) for p, k in zip(stage.padding, kernel, strict=True))
        return replace(
            _with(stage, (features, channels, side, side), stage.output_shape), padding=(vertical, horizontal)
        )

    return tuple(changed(stage) if stage.name == name else stage for stage in stages)


def connections(stage: Stage) -> int:
    """Synaptic operations of a step in which every input sends one event, by way of the neurons."""
    return stage.weight.size * prod(stage.output_shape[1:])


class Room:
    """The chip as the search sees it; remembers what it looked up."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._cores: dict[object, tuple[int, ...]] = {}
        self._errors: dict[object, frozenset[str]] = {}

    def cores(self, stage: Stage, profile: Profile) -> tuple[int, ...]:
        """Numbers of the cores that hold a stage."""
        key = (stage.weight.shape, stage.output_shape, stage.bias is None)
        if key not in self._cores:
            self._cores[key] = cores_of(stage, profile)
        return self._cores[key]

    def errors(self, stage: Stage) -> frozenset[str]:
        """Rules on its shape that a stage breaks."""
        pools = tuple(source.pool for source in stage.sources)
        key = (stage.weight.shape, stage.input_shape, stage.output_shape, stage.stride, stage.padding, pools)
        if key not in self._errors:
            found = (f for rule in SHAPE_RULES for f in rule(stage, _NO_INTEGERS, self.profile))
            self._errors[key] = frozenset(f.rule for f in found if f.severity == "error")
        return self._errors[key]

    def hopeless(self, stage: Stage) -> bool:
        """Whether no core holds a stage, nor its halves."""
        if self.cores(stage, self.profile):
            return False
        half = -(-stage.weight.shape[0] // 2)
        part = _with(stage, (half, *stage.weight.shape[1:]), (half, *stage.output_shape[1:]))
        return half == stage.weight.shape[0] or not self.cores(part, self.profile)

    def splits(self, stages: Stages, outputs: Sequence[Source]) -> tuple[str, ...] | None:
        """Layers to split so that all stages find cores; None when that does not help."""
        if any(map(self.hopeless, stages)):
            return None
        return splits_that_fit(stages, outputs, self.profile, self.cores)


def _with(stage: Stage, shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Stage:
    bias = None if stage.bias is None else _zeros((shape[0],))
    return replace(stage, weight=_zeros(shape), bias=bias, output_shape=output_shape)


def _zeros(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.broadcast_to(np.float32(0), shape)
