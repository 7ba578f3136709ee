"""A float network as integer blocks: by range, or with scales that are chosen on frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType

import numpy as np

from i2e_deploy.chips.deciding import COUNT, Deciding
from i2e_deploy.chips.loihi2.lowering.calibrate import (
    Target,
    choose,
    choose_value,
    peaks_of,
    same_values,
    value_like,
)
from i2e_deploy.chips.loihi2.lowering.losses import Loss, loss_of, measured
from i2e_deploy.chips.loihi2.lowering.messages import Scaling, with_bits
from i2e_deploy.chips.loihi2.lowering.quantise import (
    MESSAGE_BITS,
    Prepared,
    best_scale,
    block_at,
    fires_at_threshold,
    prepare,
)
from i2e_deploy.chips.loihi2.lowering.schedule import LATENCY, late, schedule, steps_of, waiting
from i2e_deploy.chips.loihi2.lowering.stages import ALWAYS, Stage, arrange
from i2e_deploy.chips.loihi2.lowering.values import with_values
from i2e_deploy.chips.loihi2.pooling import max_pool_block
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, CubaLif, DenseSynapse, never_fires
from i2e_deploy.chips.loihi2.relay import Relay, message_step
from i2e_deploy.chips.options import PLAIN, LowerOptions
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import INPUT, Network, Note
from i2e_deploy.network.neurons import LeakyIntegrateAndFire
from i2e_deploy.network.op import Shape
from i2e_deploy.text import record_repr

#: No blocks.
NONE: Mapping[str, Block] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Lowered:
    """The integers, and what each layer lost, in network order (max pooling, which loses nothing, is left out)."""

    network: BlockNetwork
    losses: tuple[Loss, ...]

    __repr__ = record_repr


def lower(network: Network, options: LowerOptions = PLAIN) -> Lowered:
    """The integers that come closest to the float run.

    Without calibration frames each layer takes the largest scale, or up to half of it, at which its weights are rounded
    least; with them also larger ones, which clip weights, and it keeps the one whose spikes differ least.

    Raises:
        UnsupportedError: names every layer that has no counterpart, with what to do.
        InputError: calibration frames that are none of the network's.
    """
    network = with_values(network)
    target = None if options.calibration is None else Target.of(network, arrange(network), options.calibration)
    return _lowered(network, options.standard_neurons, target, target)


def beside(
    network: Network, frames: Integers, only_standard: bool = False, integers: BlockNetwork | None = None
) -> Lowered:
    """The integers by range, and what they lose on frames.

    Args:
        network: the float one.
        frames: integers [B, T, C, H, W].
        only_standard: see `LowerOptions.standard_neurons`.
        integers: that were made of the network already: then what these lose, where they fire.

    Raises:
        UnsupportedError, InputError: see `lower`.
    """
    network = with_values(network)
    target = Target.of(network, arrange(network), frames)
    if integers is None:
        return _lowered(network, only_standard, None, target)
    given = {block.name: block for block in integers.blocks if not never_fires(block)}
    found = _lowered(network, only_standard, None, None, given)
    unknown = {
        block.name for block in found.network.blocks
        if message_step(block.neuron) is not None and block.name in given and not same_values(block, given[block.name])
    }  # fmt: skip
    losses = [loss for loss in found.losses if loss.layer in given and loss.layer not in unknown]
    return Lowered(integers, tuple(measured(losses, [], integers, target)))


def _lowered(
    network: Network, only_standard: bool, wanted: Target | None, beside: Target | None,
    given: Mapping[str, Block] = NONE,
) -> Lowered:  # fmt: skip
    """Scales chosen to come close to `wanted`, losses measured beside `beside`; None: neither.

    Values get the scales of `given` blocks where these are among those that are tried.
    """
    stages = arrange(network)
    late_by = schedule(stages)
    plans = _plans(network, stages, late_by, only_standard)
    scaling = Scaling(plans, {} if wanted is None else wanted.peaks(stages))
    blocks = [_always_on()] if any(e.source == ALWAYS for stage in stages for e in stage.edges) else []
    losses: list[Loss] = []
    frame = network.input_shape
    shape = frame if len(frame) <= 3 else (prod(frame),)
    for i, (stage, unscaled) in enumerate(zip(stages, plans, strict=True)):
        before = BlockNetwork(shape, tuple(blocks), MESSAGE_BITS) if blocks else None
        if unscaled is None:
            blocks.append(_pooled(stage, stages, late_by, before))
            continue
        plan = scaling.prepared(unscaled)
        if wanted is not None and plan.scale is not None:
            plan = choose_value(plan, scaling, before, shape, wanted)
        elif plan.scale is not None and stage.name in given:
            plan = value_like(plan, scaling, given[stage.name])
        if plan.scale is not None:
            scaling.decide(plan)
        plans[i] = plan
        scale, lowered = best_scale(plan), fires_at_threshold(plan) and not plan.form.leaks
        if wanted is not None and plan.scale is None:
            scale, lowered = choose(plan, (scale, lowered), before, shape, wanted)
        block = block_at(plan, scale, lowered)
        blocks.append(block)
        losses.append(loss_of(plan, block, scale))
    deciding = _deciding(stages[-1], blocks[-1])
    waits = waiting(stages, late_by, frame)
    notes = (*network.notes, *([Note("", waits)] if waits else []))
    found = with_bits(BlockNetwork(shape, tuple(blocks), MESSAGE_BITS, notes=notes, deciding=deciding))
    if wanted is not None and any(message_step(block.neuron) is not None for block in found.blocks):
        found = with_bits(found, peaks_of(found, wanted))
    _refuse_early_spikes(stages, found)
    return Lowered(found, tuple(losses if beside is None else measured(losses, plans, found, beside)))


def _plans(
    network: Network, stages: tuple[Stage, ...], late_by: dict[str, int], only_standard: bool
) -> list[Prepared | None]:
    """Every stage ready to be rounded; None: max pooling."""
    shapes: dict[str, Shape] = {INPUT: network.input_shape, ALWAYS: (1,), **network.shapes()}
    names = {INPUT: SOURCE, ALWAYS: ALWAYS, **{stage.layer: stage.name for stage in stages}}
    plans: list[Prepared | None] = []
    early = {ALWAYS}  # what could send before it starts
    problems = []
    for stage in stages:
        if stage.pool is not None:
            plans.append(None)
            early |= {stage.layer} if stage.edges[0].source in early else set()
            continue
        try:
            plan = prepare(stage, late_by, tuple(names[e.source] for e in stage.edges), shapes, only_standard)
            block_at(plan, 1.0)
            start = _start(plan, early)
        except (UnsupportedError, InputError) as error:
            problems.append(f"layer {stage.name!r} {error}")
            continue
        early |= set() if start is None else {stage.layer}
        plans.append(replace(plan, start=start))
    if problems:
        raise UnsupportedError("; ".join(problems))
    return plans


def _start(plan: Prepared, early: set[str]) -> int | None:
    """See `Prepared.start`.

    Raises:
        UnsupportedError: the membrane needs its bias from the first step on, and the current its own from the next.
    """
    biased = bool(plan.form.bias.any())
    if not biased and not any(edge.source in early for edge in plan.stage.edges):
        return None
    later = any(edge.source == ALWAYS for edge in plan.stage.edges) and late(plan.stage)
    if later and biased:
        raise UnsupportedError(
            "has a bias of its membrane and one of the current that it integrates a step later: leave one of them out"
        )
    return plan.latency + 1 + int(later)


def _always_on() -> Block:
    """A neuron that fires in every step, by its bias; its synapse to itself adds nothing, and a block needs one."""
    whole = np.array([4096])
    return Block(
        ALWAYS, CubaLif(whole, whole, 0), (1,), (Connection(ALWAYS, DenseSynapse(np.zeros((1, 1), np.int64))),),
        np.ones(1, np.int64),
    )  # fmt: skip


def _pooled(stage: Stage, stages: tuple[Stage, ...], late_by: dict[str, int], before: BlockNetwork | None) -> Block:
    """Max pooling of spikes as a block of its own."""
    assert stage.pool is not None
    (edge,) = stage.edges
    if edge.source == INPUT or before is None:
        raise UnsupportedError(
            f"layer {stage.name!r} takes the maximum of the input, which may hold counts: synapses add up; use average "
            "pooling, or pool the frames before"
        )
    name = next(s.name for s in stages if s.layer == edge.source)
    source = next(block for block in before.blocks if block.name == name)
    op = stage.pool
    block = max_pool_block(
        stage.name, source.name, source.shape, before.bits(source.name), op.kernel, op.stride, op.padding
    )
    wait = steps_of(stage, edge, late_by) - LATENCY
    if wait:
        (connection,) = block.connections
        synapse = replace(connection.synapse, delay=np.full(source.shape[0], wait))  # type: ignore[type-var]
        block = replace(block, connections=(replace(connection, synapse=synapse),))
    return replace(block, latency=late_by[stage.layer])


def _deciding(stage: Stage, block: Block) -> Deciding:
    """Spikes are counted; of what does not fire the state is read: sums at the end, potentials over the steps."""
    if not never_fires(block):
        return replace(COUNT, lag=block.latency)
    kind = "state" if stage.neurons is None else "state-mean"
    return Deciding(kind, lag=block.latency, layer=block.name, variable=block.neuron.membrane)  # type: ignore[arg-type]


def _early(block: Block) -> bool:
    """Whether its bias alone could make it send something before it starts."""
    return block.neuron.reset is not None or (isinstance(block.neuron, Relay) and block.bias is not None)


def _refuse_early_spikes(stages: tuple[Stage, ...], network: BlockNetwork) -> None:
    """Spikes of a bias alone before a block starts; harmless, but where a delay brings them past the next reset."""
    most = max(block.latency for block in network.blocks)
    delayed = {
        edge.source for stage in stages for edge in stage.edges
        if edge.delay or edge.rows is not None or edge.columns is not None or edge.source == stage.layer
        or (isinstance(stage.neurons, LeakyIntegrateAndFire) and stage.neurons.old_current)
    }  # fmt: skip
    named = {block.name: block for block in network.blocks}
    suspects = [block for s in stages if s.layer in delayed and _early(block := named[s.name])]
    if not most or not suspects:
        return
    from i2e_deploy.chips.loihi2.engine.run import run  # numba, at first use

    trace = run(network, np.zeros((1, most, *network.input_shape), np.int64))
    for block in suspects:
        if trace.spikes[block.name][:, : block.latency].any():
            raise UnsupportedError(
                f"layer {block.name!r} fires by its bias alone before the first input can arrive, {block.latency} "
                "steps after the start, and a delay would bring these spikes to the next layer: lower the bias, or "
                "leave out the delay"
            )
