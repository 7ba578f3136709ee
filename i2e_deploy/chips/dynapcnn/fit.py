"""When a layer fits no core: the changes that would make it fit, smallest first; one of them needs no training.

Splitting a layer over two cores keeps the network as it is: each core has half of the output features, and whoever they
feed takes the second half with a feature shift. The others (fewer channels, a smaller kernel, pooling earlier) need the
network trained again, so they are only proposed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from i2e_deploy.chips.check import Slot
from i2e_deploy.chips.dynapcnn.placement import place
from i2e_deploy.chips.dynapcnn.program import CoreLayer, DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.stages import memory_words
from i2e_deploy.chips.profile import Profile
from i2e_deploy.errors import CheckFailed
from i2e_deploy.network import INPUT


@dataclass(frozen=True)
class Sizes:
    """What decides the memory of a layer: output features, input channels, kernel, neurons, bias or none."""

    features: int
    channels: int
    kernel: tuple[int, int]
    height: int
    width: int
    bias: bool

    def fits(self, profile: Profile) -> bool:
        """Whether any core holds it."""
        used = memory_words(self.features, self.channels, self.kernel, (self.height, self.width), self.bias)
        return any(all(used[kind] <= core.memory[kind] for kind in used) for core in profile.cores)


def sizes_of(weight_shape: tuple[int, ...], output_shape: tuple[int, ...], bias: bool) -> Sizes:
    """Sizes of a stage or a core layer."""
    features, channels, kh, kw = weight_shape
    return Sizes(features, channels, (kh, kw), output_shape[1], output_shape[2], bias)


def proposals(sizes: Sizes, profile: Profile) -> list[str]:
    """Changes of this layer alone after which a core holds it, the smallest first; empty when none was found."""
    found = []
    half = replace(sizes, features=-(-sizes.features // 2))
    if sizes.features > 1 and half.fits(profile):
        found.append(f"split it over two cores of {half.features} features each (`fit.split_to_fit`; no retraining)")
    channels = _largest(sizes.features, lambda n: replace(sizes, features=n), profile)
    if channels:
        found.append(f"use {channels} output channels instead of {sizes.features}")
    side = min(sizes.kernel)
    kernel = _largest(side, lambda n: replace(sizes, kernel=(n, n)), profile) if side > 1 else 0
    if kernel:
        found.append(f"use a {kernel}x{kernel} kernel instead of {sizes.kernel[0]}x{sizes.kernel[1]}")
    for factor in (2, 4):
        if replace(sizes, height=-(-sizes.height // factor), width=-(-sizes.width // factor)).fits(profile):
            found.append(f"pool by {factor} before it, or use a stride {factor} times as large")
            break
    return found


def _largest(now: int, change: Callable[[int], Sizes], profile: Profile) -> int:
    """Largest value below `now` that fits, 0 for none."""
    return next((value for value in range(now - 1, 0, -1) if change(value).fits(profile)), 0)


def split_layer(program: DynapcnnProgram, name: str) -> DynapcnnProgram:
    """The same network with one layer on two cores: `NAME.a` has the first half of its features, `NAME.b` the rest."""
    layers: list[CoreLayer] = []
    for layer in program.layers:
        layer = replace(layer, sources=_redirected(layer.sources, program, name))  # noqa: PLW2901
        layers += _halves(layer) if layer.name == name else [layer]
    outputs = tuple(replace(s, feature_shift=0) for s in _redirected(program.outputs, program, name))
    return replace(program, layers=tuple(layers), outputs=outputs)


def split_to_fit(program: DynapcnnProgram, profile: Profile) -> tuple[DynapcnnProgram, tuple[Slot, ...]]:
    """Split every layer that fits no core, once; the program and its placement.

    Raises:
        CheckFailed: it still cannot be placed, or a layer would feed more cores than the chip has destinations for.
    """
    for layer in program.layers:
        if not sizes_of(layer.weight.shape, layer.output_shape, layer.bias is not None).fits(profile):
            program = split_layer(program, layer.name)
    slots, crowded = place(program.layers, profile)
    if crowded:
        raise CheckFailed(f"the network does not fit {profile.name} even with layers split: {', '.join(crowded)}")
    fed = [source.layer for layer in program.layers for source in layer.sources if source.layer != INPUT]
    limit = profile.limit("destinations")
    wide = sorted({name for name in fed if not limit.allows(fed.count(name))})
    if wide:
        raise CheckFailed(f"layers {', '.join(wide)} would feed more than {limit} {limit.unit} after splitting")
    return program, slots


def _halves(layer: CoreLayer) -> list[CoreLayer]:
    middle = -(-layer.output_shape[0] // 2)
    halves = []
    for name, part in (("a", slice(None, middle)), ("b", slice(middle, None))):
        weight = layer.weight[part]
        halves.append(
            replace(
                layer,
                name=f"{layer.name}.{name}",
                weight=weight,
                bias=None if layer.bias is None else layer.bias[part],
                output_shape=(len(weight), *layer.output_shape[1:]),
            )
        )
    return halves


def _redirected(sources: tuple[Source, ...], program: DynapcnnProgram, name: str) -> tuple[Source, ...]:
    """Sources with both halves in place of the layer."""
    middle = -(-program.shapes()[name][0] // 2)
    found: list[Source] = []
    for source in sources:
        if source.layer != name:
            found.append(source)
            continue
        found.append(replace(source, layer=f"{name}.a"))
        found.append(replace(source, layer=f"{name}.b", feature_shift=source.feature_shift + middle))
    return tuple(found)
