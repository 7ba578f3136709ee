"""The rules of a DYNAP-CNN core, one small function each.

A rule takes a stage, its integers and the profile and gives a finding for every value it looked at, good or
bad. `RULES` is the list that `check` runs; a new rule is a function and a line there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from i2e_deploy.chips.check import Finding, Severity
from i2e_deploy.chips.dynapcnn.lowering.quantise import Quantised
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, words
from i2e_deploy.chips.profile import Limit, Profile
from i2e_deploy.network import INPUT

Rule = Callable[[Stage, Quantised, Profile], Iterator[Finding]]

#: Below this many bits a layer's weights are named as imprecise: 4 bits is +-7 steps.
FEW_BITS = 4.0


def _limited(rule: str, stage: Stage, value: int, limit: Limit, fix: str) -> Finding:
    """A finding that is an error when the profile's limit does not allow the value."""
    severity: Severity = "ok" if limit.allows(value) else "error"
    source = f"{limit.source} [{limit.certainty}]"
    return Finding(rule, stage.name, value, str(limit), limit.unit, severity, "" if severity == "ok" else fix, source)


def input_size(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Height and width of the input of the convolution."""
    _, height, width = stage.input_shape
    fix = "crop or downsample the input, or pool more before this layer"
    yield _limited("input height", stage, height, profile.limit("input_size"), fix)
    yield _limited("input width", stage, width, profile.limit("input_size"), fix)


def output_size(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Height and width of the neurons."""
    _, height, width = stage.output_shape
    fix = "use a larger stride, or pool before this layer"
    yield _limited("output height", stage, height, profile.limit("output_size"), fix)
    yield _limited("output width", stage, width, profile.limit("output_size"), fix)


def features(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Input and output channels."""
    fix = "use fewer channels"
    yield _limited("input features", stage, stage.weight.shape[1], profile.limit("features"), fix)
    yield _limited("output features", stage, stage.weight.shape[0], profile.limit("features"), fix)


def kernel(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Largest side of the kernel, and that it is square: a core has one number for both."""
    height, width = stage.weight.shape[2:]
    limit, fix = profile.limit("kernel_size"), "use a smaller kernel or less dilation; pool before a linear layer"
    yield _limited("kernel size", stage, max(height, width), limit, fix)
    square = height == width
    yield Finding(
        "square kernel", stage.name, f"{height}x{width}", "height = width", "", "ok" if square else "error",
        "" if square else "pad the kernel with zeros, or give a linear layer a square input", limit.source,
    )  # fmt: skip


def stride(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Both strides."""
    fix = "use stride 1, 2, 4 or 8"
    yield _limited("stride vertical", stage, stage.stride[0], profile.limit("strides"), fix)
    yield _limited("stride horizontal", stage, stage.stride[1], profile.limit("strides"), fix)


def padding(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Both paddings."""
    fix = "pad less"
    yield _limited("padding vertical", stage, stage.padding[0], profile.limit("padding"), fix)
    yield _limited("padding horizontal", stage, stage.padding[1], profile.limit("padding"), fix)


def pooling(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Summing windows between cores; the input itself is not pooled."""
    limit = profile.limit("pooling")
    for source in stage.sources:
        if source.layer != INPUT:
            yield pool_finding("pooling before", stage, source.pool, limit)


def pool_finding(rule: str, stage: Stage, pool: tuple[int, int], limit: Limit) -> Finding:
    """Windows of one destination: square, and of a size that the chip has."""
    vertical, horizontal = pool
    finding = _limited(rule, stage, max(pool), limit, "pool by 1, 2 or 4 in total after a layer")
    if vertical == horizontal:
        return finding
    return Finding(
        rule, stage.name, f"{vertical}x{horizontal}", "height = width", "pixels", "error",
        "pool by the same factor in both directions", finding.source,
    )  # fmt: skip


def destinations(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """How many cores (or outputs) it feeds."""
    limit = profile.limit("destinations")
    yield _limited("destinations", stage, stage.destinations, limit, "feed at most two layers, or repeat this layer")


def memory(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Each kind of memory against the largest core; whether one core has them all is the placement's job."""
    fixes = {
        "kernel": "use fewer channels or a smaller kernel",
        "neuron": "use fewer channels, a larger stride, or pool before",
        "bias": "use fewer channels, or bias=False",
    }
    for kind, used in words(stage).items():
        largest = max(core.memory[kind] for core in profile.cores)
        fits = used <= largest
        yield Finding(
            f"{kind} memory", stage.name, used, largest, "words", "ok" if fits else "error",
            "" if fits else fixes[kind], profile.cores_source,
        )  # fmt: skip


def threshold(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """The integer threshold; 0 would fire without end."""
    good = integers.threshold >= 1
    yield Finding(
        "threshold", stage.name, integers.threshold, "1..32767", "", "ok" if good else "error",
        "" if good else "the weights are too large beside the threshold: scale them down or raise spike_threshold",
        "sinabs 3.1.3 discretize.py gives 0 here, and then inf",
    )  # fmt: skip


def lower_bound(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """The integer lower bound; 0 is an erratum."""
    source = next((e.source for e in profile.errata if e.id == "threshold-low-zero"), "")
    bad = integers.min_v == 0
    yield Finding(
        "lower bound", stage.name, integers.min_v, "-32768..-1", "", "error" if bad else "ok",
        "a lower bound of 0 is a chip erratum: set min_v_mem below zero, e.g. -threshold" if bad else "", source,
    )  # fmt: skip


def precision(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """How many bits the weights keep; a missing lower bound, a large bias or a large threshold leaves fewer."""
    bits = integers.effective_bits
    cause = "min_v_mem is None, which asks for the whole 16-bit range: set e.g. min_v_mem=-1.0"
    if stage.neuron.min_v is not None:
        cause = "the bias, the threshold or min_v_mem is far larger than the weights: bring them closer together"
    if not stage.weight.any():
        cause = "every weight is 0: the layer never fires by its input; was it trained?"
    few = bits < FEW_BITS
    yield Finding(
        "effective weight bits", stage.name, round(bits, 2), f"{FEW_BITS:g} or more", "bits",
        "warning" if few else "ok", cause if few else "", "sinabs 3.1.3 discretize.py: one scale for all",
    )  # fmt: skip


def leftover(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """A neuron fires once per event, so an event heavier than two thresholds leaves it above threshold."""
    ratio = int(integers.weight.max(initial=0)) / max(1, integers.threshold)
    heavy = ratio > 2
    yield Finding(
        "largest weight", stage.name, round(ratio, 2), 2, "thresholds", "warning" if heavy else "ok",
        "on the chip such events leave the neuron above threshold until the next event: clip the weights in training"
        if heavy else "", "sinabs 3.1.3 documentation, tips for training",
    )  # fmt: skip


def bias(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """A bias runs on the slow clock."""
    if integers.bias is not None and np.any(integers.bias):
        yield Finding(
            "bias", stage.name, int(np.count_nonzero(integers.bias)), 0, "channels", "warning",
            "the chip adds a bias at every tick of its slow clock, not every step: set the clock to 1 / step, "
            "or train with bias=False", "sinabs 3.1.3 documentation, leak_neuron notebook",
        )  # fmt: skip


#: Rules that look at shapes alone, not at integers.
def initial_states(stage: Stage, integers: Quantised, profile: Profile) -> Iterator[Finding]:
    """Neurons that do not start at zero: the chip does so once, after its configuration."""
    if integers.initial is not None and integers.initial.any():
        yield Finding(
            "initial states", stage.name, int(np.count_nonzero(integers.initial)), 0, "neurons", "info",
            "they hold for the first sample; a board that is not reset goes on from where that ended "
            "(evaluate --chain); to start from zero read the network with states='zero'",
            "sinabs 3.1.3 backend/dynapcnn/chips/dynapcnn.py neurons_initial_value",
        )  # fmt: skip


SHAPE_RULES: tuple[Rule, ...] = (input_size, output_size, features, kernel, stride, padding, pooling)
RULES: tuple[Rule, ...] = (
    *SHAPE_RULES, destinations, memory, threshold, lower_bound, precision, leftover, bias, initial_states,
)  # fmt: skip
