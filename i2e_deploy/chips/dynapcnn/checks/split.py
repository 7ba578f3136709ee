"""A layer over two cores: half of the output features each, joined by the feature shift of the layers that they feed.

In time steps no spike changes. As events, spikes of the second half follow those of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, TypeVar

from i2e_deploy.chips.dynapcnn.checks.placement import cores_of, match
from i2e_deploy.chips.dynapcnn.program import CoreNetwork, Source
from i2e_deploy.chips.profile import Profile
from i2e_deploy.errors import CheckFailed
from i2e_deploy.network import INPUT

L = TypeVar("L")
CoresOf = Callable[[Any, Profile], Sequence[int]]


def split_to_fit(program: CoreNetwork, profile: Profile) -> CoreNetwork:
    """The program with the fewest layers split so that each has a core; itself when all fit.

    Raises:
        CheckFailed: splitting does not help: too few cores, or a layer would feed more of them than the chip lets it.
    """
    names = splits_that_fit(program.layers, program.outputs, profile)
    if names is None:
        raise CheckFailed(f"the network does not fit {profile.name} even with layers split: see `check` for what would")
    layers, outputs = split_all(program.layers, program.outputs, names)
    return replace(program, layers=tuple(layers), outputs=outputs)


def splits_that_fit(
    stages: Sequence[L], outputs: Sequence[Source], profile: Profile, cores: CoresOf = cores_of
) -> tuple[str, ...] | None:
    """The fewest layers (stages or core layers) to split so that all fit; None: splitting does not help.

    Args:
        cores: numbers of the cores that hold a layer.
    """
    named: Sequence[Any] = stages
    spare = len(profile.cores) - len(stages)
    for count in range(max(0, spare) + 1):
        for names in combinations([stage.name for stage in named if stage.weight.shape[0] > 1], count):
            parts, _ = split_all(named, outputs, names)
            _, without_core = match({part.name: cores(part, profile) for part in parts})
            if not without_core and (not names or _fan_out_allowed(parts, profile)):
                return names
    return None


def split_all(
    layers: Sequence[L], outputs: Sequence[Source], names: Sequence[str]
) -> tuple[list[L], tuple[Source, ...]]:
    """Layers (stages or core layers) and outputs with each named layer on two cores.

    `NAME.a` has the first half of the features, `NAME.b` the rest; the layers that they feed take them side by side.
    """
    found: list[Any] = list(layers)
    for name in names:
        middle = next(-(-layer.weight.shape[0] // 2) for layer in found if layer.name == name)
        redirected = [replace(layer, sources=_redirected(layer.sources, name, middle)) for layer in found]
        outputs = [replace(source, feature_shift=0) for source in _redirected(outputs, name, middle)]
        found = [part for layer in redirected for part in (halves(layer, name) if layer.name == name else [layer])]
    return found, tuple(outputs)


def halves(layer: Any, name: str) -> list[Any]:
    """A record with weight, bias and shape of a layer, as two."""
    middle = -(-layer.weight.shape[0] // 2)
    made = []
    for part, rows in (("a", slice(None, middle)), ("b", slice(middle, None))):
        weight = layer.weight[rows]
        bias = None if layer.bias is None else layer.bias[rows]
        shape = (len(weight), *layer.output_shape[1:])
        start = None if layer.initial is None else layer.initial[rows]
        made.append(replace(layer, name=f"{name}.{part}", weight=weight, bias=bias, output_shape=shape, initial=start))
    return made


def _redirected(sources: Sequence[Source], name: str, middle: int) -> tuple[Source, ...]:
    """Sources with both halves in place of the layer."""

    def both(source: Source) -> Iterator[Source]:
        if source.layer != name:
            yield source
            return
        yield replace(source, layer=f"{name}.a")
        yield replace(source, layer=f"{name}.b", feature_shift=source.feature_shift + middle)

    return tuple(part for source in sources for part in both(source))


def _fan_out_allowed(layers: Sequence[Any], profile: Profile) -> bool:
    fed = [source.layer for layer in layers for source in layer.sources if source.layer != INPUT]
    return all(profile.limit("destinations").allows(fed.count(name)) for name in set(fed))
