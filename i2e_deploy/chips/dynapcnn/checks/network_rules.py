"""The rules of a network as a whole: sensor, outputs, cores and clocks; one small function each, as in `rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from i2e_deploy.chips.check import Finding, Severity, Slot
from i2e_deploy.chips.dynapcnn.checks.activity import Activity
from i2e_deploy.chips.dynapcnn.checks.placement import rate_of
from i2e_deploy.chips.dynapcnn.checks.rules import pool_finding
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, averaged_outputs
from i2e_deploy.chips.dynapcnn.program import Source
from i2e_deploy.chips.profile import Limit, Profile
from i2e_deploy.network import INPUT, Network, Sensor


@dataclass(frozen=True, eq=False)
class Whole:
    """What the rules look at: a network arranged and placed.

    Args:
        input_shape: (C, H, W) of the events that go in.
        slots: empty where layers have no core.
        activity: None where nobody measured it.
    """

    input_shape: tuple[int, ...]
    stages: Sequence[Stage]
    outputs: Sequence[Source]
    sensor: Sensor | None
    slots: Sequence[Slot]
    profile: Profile
    activity: Activity | None = None

    def stage(self, name: str) -> Stage:
        """By name."""
        return next(stage for stage in self.stages if stage.name == name)


NetworkRule = Callable[[Whole], Iterator[Finding]]


def _finding(rule: str, layer: str, value: int | float, limit: Limit, bad: Severity, fix: str, good: bool) -> Finding:
    source = f"{limit.source} [{limit.certainty}]"
    return Finding(rule, layer, value, str(limit), limit.unit, "ok" if good else bad, "" if good else fix, source)


def sensor_size(whole: Whole) -> Iterator[Finding]:
    """The chip's pixel array."""
    if whole.sensor is not None:
        limit, largest = whole.profile.limit("sensor_size"), max(whole.input_shape[1:])
        fix = "crop or downsample the events before; the chip has so many pixels"
        yield _finding("sensor size", "", largest, limit, "error", fix, limit.allows(largest))


def sensor_pooling(whole: Whole) -> Iterator[Finding]:
    """Pooling between the pixels and the first layer; it need not be square, as between cores."""
    if whole.sensor is not None:
        limit = whole.profile.limit("sensor_pooling")
        for name, pool in zip(("vertical", "horizontal"), whole.sensor.pool, strict=True):
            fix = "pool by 1, 2 or 4 in total before the first layer, or use a stride"
            yield _finding(f"sensor pooling {name}", "", pool, limit, "error", fix, limit.allows(pool))


def input_destinations(whole: Whole) -> Iterator[Finding]:
    """The chip's own sensor feeds as many cores as a core does; the host can send an event to any number."""
    limit = whole.profile.limit("destinations")
    fed = [stage.name for stage in whole.stages if any(source.layer == INPUT for source in stage.sources)]
    bad: Severity = "warning" if whole.sensor is None else "error"
    fix = "from the chip's own camera only so many; events from the host must be sent to each"
    if whole.sensor is not None:
        fix = "the pre-processing has so many destinations: let fewer layers take the input"
    yield _finding("input destinations", "", len(fed), limit, bad, fix, limit.allows(len(fed)))


def output_pooling(whole: Whole) -> Iterator[Finding]:
    """Pooling windows after an output layer."""
    for source in whole.outputs:
        stage = whole.stage(source.layer)
        yield pool_finding("output pooling", stage, source.pool, whole.profile.limit("pooling"))


def monitored_pooling(whole: Whole) -> Iterator[Finding]:
    """Spikes that the chip sends out are those of the neurons, before any pooling."""
    for source in whole.outputs:
        if source.pool != (1, 1):
            yield Finding(
                "monitored pooling", source.layer, max(source.pool), 1, "pixels", "info",
                "the chip sends out spikes before pooling: pool the addresses on the host, as this program does",
                "sinabs 3.1.3 backend/dynapcnn/chips/dynapcnn.py monitor_layers",
            )  # fmt: skip


def readout_classes(whole: Whole) -> Iterator[Finding]:
    """What the chip's own readout block can do with the output layer; counting on the host is never limited."""
    limit = whole.profile.limit("readout_classes")
    erratum = next((e for e in whole.profile.errata if e.id == "readout-channel-spacing"), None)
    fix = "" if erratum is None else f"{erratum.text} {erratum.workaround}".strip()
    for source in whole.outputs:
        channels = whole.stage(source.layer).output_shape[0]
        yield Finding("readout classes", source.layer, channels, str(limit), limit.unit, "info", fix, limit.source)


def single_neuron(whole: Whole) -> Iterator[Finding]:
    """A layer of one neuron on a core that computes in parallel: the vendor's own test leaves these cores out."""
    parallel = {core.index for core in whole.profile.cores if core.parallel}
    source = next((e.source for e in whole.profile.errata if e.id == "parallel-cores"), "")
    for slot in whole.slots:
        if prod(whole.stage(slot.layer).output_shape) == 1 and slot.core in parallel:
            yield Finding(
                "single neuron on a parallel core", slot.layer, slot.core, "another core", "", "warning",
                "verify it on silicon, or free a core that does not compute in parallel", source,
            )  # fmt: skip


def input_core(whole: Whole) -> Iterator[Finding]:
    """Layers on the input should have the cores with the larger throughput."""
    parallel = {core.index for core in whole.profile.cores if core.parallel}
    for slot in whole.slots:
        if parallel and any(source.layer == INPUT for source in whole.stage(slot.layer).sources):
            good = slot.core in parallel
            yield Finding(
                "input layer's core", slot.layer, slot.core, f"one of {', '.join(map(str, sorted(parallel)))}", "",
                "ok" if good else "info",
                "" if good else "these cores compute in parallel; make the layer smaller if it cannot keep up",
                "Speck Dev Kit Datasheet (Aug 2023), 2.4",
            )  # fmt: skip


def synops_rate(whole: Whole) -> Iterator[Finding]:
    """Load of a core against its capacity; an overloaded core stalls the whole chip."""
    if whole.activity is None:
        return
    cores = {core.index: core for core in whole.profile.cores}
    for slot in whole.slots:
        core, rate = cores[slot.core], round(whole.activity.synops[slot.layer])
        limit = whole.profile.limit("synops_rate_parallel" if core.parallel else "synops_rate")
        fix = "fewer channels, a larger stride or a smaller kernel here, or fewer spikes before; else the chip stalls"
        limit = replace(limit, unit="/ s")
        yield _finding(
            "synaptic operations", slot.layer, rate, limit, "warning", fix, rate <= rate_of(core, whole.profile)
        )


def slow_clock(whole: Whole) -> Iterator[Finding]:
    """A bias is added at every tick, so a tick must be a step."""
    if whole.activity is None or not any(stage.bias is not None for stage in whole.stages):
        return
    rate = round(1e6 / whole.activity.step_us, 1)
    low, high = whole.profile.limit("slow_clock_lowest"), whole.profile.limit("slow_clock_highest")
    fix = "take steps of a length that the clock can follow, or train with bias=False"
    yield _finding("slow clock for the bias", "", rate, high, "warning", fix, high.allows(int(rate)))
    assert isinstance(low.value, int)
    if rate < low.value:
        yield _finding("slow clock for the bias", "", rate, low, "warning", fix, good=False)


def averages(network: Network) -> Iterator[Finding]:
    """A program adds events and never divides, so average pooling at the end gives sums."""
    times = averaged_outputs(network)
    for name, factor in times.items():
        yield Finding(
            "average at the output", name, factor, 1, "times the average", "warning",
            f"divide what leaves the chip by {factor}; the largest stays the largest among outputs of equal windows",
            "sinabs 3.1.3 backend/dynapcnn/dynapcnn_layer.py: sum pooling, the factor in the weights of the next layer",
        )  # fmt: skip


NETWORK_RULES: tuple[NetworkRule, ...] = (
    sensor_size, sensor_pooling, input_destinations, output_pooling, monitored_pooling, readout_classes,
    single_neuron, input_core, synops_rate, slow_clock,
)  # fmt: skip
