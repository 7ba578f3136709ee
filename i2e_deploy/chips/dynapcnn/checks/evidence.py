"""Which points that nobody settled matter for a network: those whose alternatives could change what it computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from i2e_deploy.chips.dynapcnn.lowering.quantise import Quantised
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage
from i2e_deploy.network import INPUT

#: Open points that no network escapes.
ALWAYS = frozenset({"arithmetic", "last-spikes", "overflow", "rates"})


def touched(input_shape: tuple[int, ...], stages: Sequence[Stage], integers: Mapping[str, Quantised]) -> frozenset[str]:
    """Names of open points of the profile. `overflow` stays in: only a run counts saturations."""
    found = set(ALWAYS)
    if len(stages) > 1:
        found.add("sweep")
    if any((integers[stage.name].weight == 0).any() for stage in stages):
        found.add("zero_weights")
    if any(len(stage.sources) > 1 for stage in stages):
        found.add("merge")
    if any(_rest(input_shape, stages)):
        found.add("outside_pool")
    biases = [bias for stage in stages if (bias := integers[stage.name].bias) is not None]
    if any((bias != 0).any() for bias in biases):
        found.add("tick")
    if any((bias > 0).any() for bias in biases):
        found.add("leak_fires")
    return frozenset(found)


def _rest(input_shape: tuple[int, ...], stages: Sequence[Stage]) -> Iterator[bool]:
    """For every source of a stage, whether its map has rows or columns that pooling windows do not cover."""
    shapes = {INPUT: input_shape} | {stage.name: stage.output_shape for stage in stages}
    for source in (source for stage in stages for source in stage.sources):
        size = shapes[source.layer][1:]
        yield any(side % window for side, window in zip(size, source.pool, strict=True))
