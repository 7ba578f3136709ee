"""What a layer lost on its way to integers, as figures and as findings with the one thing to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from i2e_deploy.chips.check import Finding, Severity
from i2e_deploy.chips.loihi2.lowering.calibrate import Target, held_at_the_end
from i2e_deploy.chips.loihi2.lowering.maps import Floats
from i2e_deploy.chips.loihi2.lowering.quantise import Prepared, all_weights, fires_at_threshold, lost_of, rounded
from i2e_deploy.chips.loihi2.lowering.stages import ALWAYS
from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, CubaLif, never_fires
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.relay import Relay, message_step
from i2e_deploy.text import record_repr

#: From here on a figure is worth a warning: bits of weights, errors in %.
FEW_BITS, LARGE_WEIGHT, LARGE_LEAK, LARGE_THRESHOLD, MANY_SPIKES = 5.0, 5.0, 5.0, 2.0, 5.0

#: A current of this many steps leaves its 24 bits.
WRAPS = 2**17


@dataclass(frozen=True)
class Spikes:
    """Spikes of a layer on calibration frames, beside the float network's.

    Args:
        differing: how many steps of neurons differ in what they sent.
        total: steps of neurons.
        wanted: spikes of the float network.
        first_step: the first step of any sample in which some differ; None: none do.
    """

    differing: int
    total: int
    wanted: int
    first_step: int | None

    __repr__ = record_repr


@dataclass(frozen=True)
class Loss:
    """What one layer lost.

    Args:
        layer: name of the block.
        scale: integer steps of one unit of the voltage, which is the threshold where there is one.
        bits: that the weights really use, the sign included.
        weight_error: root mean square of what rounding and clipping moved, in % of the weights' own.
        clipped: weights that were clipped.
        bias_error: largest error of a bias, in % of the threshold.
        leak_error: largest error of a leak (what a state loses in a step), in % of it.
        threshold_error: largest, in %.
        reach: largest sum of a neuron's weights, signs left out: what one spike of each input could bring in a step.
        room: of a layer that only adds up: steps in which all its inputs at once fill its voltage; None: it fires, or
            leaks that away.
        vanished, biases: of so many biases that are not 0, how many became 0.
        at_threshold: the float neurons fire at the threshold too, the chip's only above it (by less than 1 part in
            64 of an integer step of the voltage).
        needs: what only a programmable neuron does.
        forced: what was left out to use the standard neuron.
        spikes: on calibration frames; None: not measured, or the layer does not fire.
        state_error: root mean square of the potential at the end, in % of its own; None: likewise.
        value_error: the same of values that are sent, over all steps.
        cut: values that were clipped on these frames, because a message or a word does not hold them.
    """

    layer: str
    scale: float
    bits: float
    weight_error: float
    clipped: int
    bias_error: float
    leak_error: float
    threshold_error: float
    reach: int
    room: int | None = None
    vanished: int = 0
    biases: int = 0
    at_threshold: bool = False
    needs: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    spikes: Spikes | None = None
    state_error: float | None = None
    value_error: float | None = None
    cut: int = 0

    __repr__ = record_repr


def loss_of(plan: Prepared, block: Block, scale: float) -> Loss:
    """What is known without frames."""
    (weights, worth), form = all_weights(plan), plan.form
    integers = rounded(weights, scale)
    wanted, bias = _biases(plan, block, scale)
    power = float(np.square(weights * worth).sum())
    moved = float(np.square((integers / scale - weights) * worth).sum())
    threshold = 0.0
    neuron = block.neuron
    if form.threshold is not None and isinstance(neuron, (CubaLif, ProgrammableLif)):
        chosen = _each(block, np.atleast_1d(np.asarray(neuron.threshold))) / scale
        if fires_at_threshold(plan) and not form.leaks:
            chosen = chosen + 1 / scale  # the voltage has whole steps: above one less is at it
        threshold = float(np.abs(chosen / form.threshold - 1).max()) * 100
    return Loss(
        layer=block.name, scale=scale, bits=1 + float(np.log2(max(1, int(np.abs(integers).max()) / 2))),
        weight_error=100 * float(np.sqrt(moved / power)) if power else 0.0,
        clipped=int((np.abs(integers / scale - weights) > 1.001 / scale).sum()),
        bias_error=100 * float(np.abs(bias / scale - wanted).max()),
        leak_error=max(_leak_error(form.kept), _leak_error(form.current_kept), _leak_error(form.adaptation_kept)),
        threshold_error=threshold, reach=_reach(plan, block), room=_room(plan, block),
        vanished=int(((bias == 0) & (wanted != 0)).sum()), biases=int((wanted != 0).sum()),
        at_threshold=fires_at_threshold(plan) and form.leaks,
        needs=plan.needs, forced=plan.forced,
    )  # fmt: skip


def measured(
    losses: Sequence[Loss], plans: Sequence[Prepared | None], network: BlockNetwork, target: Target
) -> list[Loss]:
    """With what a run of the whole network on the calibration frames shows."""
    from i2e_deploy.chips.loihi2.engine.run import run  # numba, at first use

    trace = run(network, target.padded(max(block.latency for block in network.blocks)))
    steps = target.frames.shape[1]
    blocks = {block.name: block for block in network.blocks}
    by_name = {plan.stage.name: plan for plan in plans if plan is not None}
    found = []
    for loss in losses:
        block, wanted = blocks[loss.layer], target.spikes[loss.layer]
        if (step := message_step(block.neuron)) is not None:
            sent = trace.spikes[loss.layer].reshape(*trace.output.shape[:2], -1)[:, block.latency :][:, :steps]
            values, power = sent * step / loss.scale, float(np.square(wanted).mean())
            error = 100 * float(np.sqrt(np.square(values - wanted).mean() / power)) if power else 0.0
            found.append(replace(loss, value_error=error, cut=trace.counts[loss.layer].saturations))
            continue
        if never_fires(block):
            plan = by_name[loss.layer]
            ended = trace.states[loss.layer]["v"].reshape(len(wanted), -1) / (64 * loss.scale) + plan.form.origin
            held = held_at_the_end(plan, wanted)
            power = float(np.square(held).mean())
            error = 100 * float(np.sqrt(np.square(ended - held).mean() / power)) if power else 0.0
            found.append(replace(loss, state_error=error))
            continue
        sent = trace.spikes[loss.layer].reshape(*trace.output.shape[:2], -1)[:, block.latency :][:, :steps]
        unequal = sent != wanted
        first = int(unequal.any(axis=(0, 2)).argmax()) if unequal.any() else None
        found.append(replace(loss, spikes=Spikes(int(unequal.sum()), unequal.size, int(wanted.sum()), first)))
    return found


def findings_of(losses: Sequence[Loss]) -> list[Finding]:
    """A finding a figure and layer; what is worth a look is a warning that says what to change."""
    return [finding for loss in losses for finding in _findings(loss)]


def measured_findings(losses: Sequence[Loss]) -> list[Finding]:
    """Of these only what was measured on frames."""
    return [finding for loss in losses for finding in _measured(loss)]


def _findings(loss: Loss) -> list[Finding]:
    rows: list[tuple[str, str, bool, str]] = [
        # One bit is enough for a weight of 2, by which a sum is read.
        ("weight bits", f"{loss.bits:.1f}", loss.bits < FEW_BITS and loss.weight_error > 0.01,
         "its scale is set by the bias or bounds, not by the weights: lower those in training"),
        ("weight error", percent(loss.weight_error), loss.weight_error > LARGE_WEIGHT,
         "a few weights are much larger than the rest: choose scales on frames (--calibrate), or clip them"),
        ("leak error", percent(loss.leak_error), loss.leak_error > LARGE_LEAK,
         "the chip's leak is in parts of 4096: use a shorter time constant, or none"),
        ("threshold error", percent(loss.threshold_error), loss.threshold_error > LARGE_THRESHOLD,
         "weights are large beside the threshold, which leaves few steps for it: train with a higher threshold"),
        ("bias error", f"{percent(loss.bias_error)} of the threshold", loss.bias_error > LARGE_THRESHOLD,
         "biases leave their 13 bits or are small beside the weights: lower the largest weights"),
    ]  # fmt: skip
    found = [
        Finding(rule, loss.layer, value, "", "", "warning" if bad else "ok", fix if bad else "")
        for rule, value, bad, fix in rows
    ]
    if loss.reach >= WRAPS:
        fix = (
            "with all inputs at once its current wraps: frames (check --input) say how close it comes; split the layer"
        )
        found.append(Finding("sum of weights", loss.layer, loss.reach, WRAPS - 1, "", "warning", fix))
    if loss.room is not None:
        fix = (
            "then it clips, and scores tie: with frames (check --input, evaluate) it is said; run fewer steps at a time"
        )
        value = f"{loss.room} steps of all inputs at once"
        found.append(Finding("room of the voltage", loss.layer, value, "", "", "info", fix))
    if loss.vanished:
        most = 2 * loss.vanished >= loss.biases
        fix = "they are small beside the largest weights and add up over the steps: lower these weights"
        value = f"{loss.vanished} of {loss.biases}"
        found.append(Finding("biases that became 0", loss.layer, value, 0, "", "warning" if most else "info", fix))
    if loss.clipped:
        found.append(Finding("clipped weights", loss.layer, loss.clipped, "", "", "info", "calibration chose that"))
    if loss.at_threshold:
        text = "the chip's standard neuron fires above its threshold, not at it: equal where none is met exactly"
        found.append(Finding("at the threshold", loss.layer, "above it", "", "", "info", text))
    if loss.forced:
        text = "asked for with standard_neurons; frames (check --input) say what it costs"
        without = "without " + ", ".join(loss.forced)
        found.append(Finding("closest standard neuron", loss.layer, without, "", "", "warning", text))
    return [*found, *_measured(loss)]


def _measured(loss: Loss) -> list[Finding]:
    if loss.value_error is not None:
        bad = loss.value_error > MANY_SPIKES
        found = [Finding("values differ from float", loss.layer, percent(loss.value_error), "", "",
                         "warning" if bad else "ok", main_cause(loss) if bad else "")]  # fmt: skip
        if loss.cut:
            fix = "sums leave their messages: train with a loss on the size of what is added, or with fewer blocks"
            found.append(Finding("values that were clipped", loss.layer, loss.cut, 0, "", "warning", fix))
        return found
    if loss.state_error is not None:
        bad = loss.state_error > MANY_SPIKES
        severity: Severity = "warning" if bad else "ok"
        return [Finding("state differs from float", loss.layer, percent(loss.state_error), "", "", severity,
                        main_cause(loss) if bad else "")]  # fmt: skip
    if (spikes := loss.spikes) is None:
        return []
    share = 100 * spikes.differing / max(1, spikes.wanted)
    bad = share > MANY_SPIKES
    step = "" if spikes.first_step is None else f", from step {spikes.first_step}"
    text = f"{spikes.differing} beside {spikes.wanted} spikes ({percent(share)}){step}"
    return [Finding("spikes differ from float", loss.layer, text, "", "", "warning" if bad else "ok",
                    main_cause(loss) if bad else "")]  # fmt: skip


def percent(value: float) -> str:
    """Two digits that count, never as a power of ten where it is large."""
    return f"{value:.0f} %" if value >= 99.5 else f"{value:.2g} %"


def main_cause(loss: Loss) -> str:
    """The one thing to change: the largest error of this layer beside what is worth a warning."""
    if loss.forced:
        return f"allow programmable neurons, or train without {', '.join(loss.forced)}"
    causes = {
        "train with quantised weights (8 bits, even), or let calibration choose the scale": loss.weight_error
        / LARGE_WEIGHT,
        "use a leak that is a multiple of 1/4096, with a shorter time constant": loss.leak_error / LARGE_LEAK,
        "raise the threshold beside the weights": loss.threshold_error / LARGE_THRESHOLD,
        "raise the biases beside the weights, or leave them out": loss.bias_error / LARGE_THRESHOLD,
    }
    largest = max(causes, key=lambda cause: causes[cause])
    return largest if causes[largest] > 0.2 else "its own errors are small: mend the layers before it"


def _each(block: Block, values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """[1], [C] or [N] to [N]."""
    size = int(np.prod(block.shape))
    if values.size in (1, size):
        return np.broadcast_to(values.reshape(-1), (size,))
    return np.repeat(values, size // block.shape[0])


def _biases(plan: Prepared, block: Block, scale: float) -> tuple[Floats, Floats]:
    """Of the membrane and of the current, as floats in units of the voltage and as integers: [N] or [2 N]."""
    bias = np.zeros_like(plan.form.bias) if block.bias is None else _each(block, block.bias)
    if isinstance(block.neuron, Relay):
        bias = bias - (1 << block.neuron.shift >> 1)  # half a step of the message, for rounding
    currents = [m.weight[:, 0] for m, e in zip(plan.maps, plan.stage.edges, strict=True) if e.source == ALWAYS]
    wanted, found = [plan.form.bias, *currents], [bias, *(rounded(each, scale) for each in currents)]
    return np.concatenate(wanted), np.concatenate(found)


def _reach(plan: Prepared, block: Block) -> int:
    """Of spikes; how large sums of values are, their messages say."""
    grades = plan.grades or (0.0,) * len(block.connections)
    ways = zip(block.connections, grades, strict=True)
    synapses = [way.synapse for way, grade in ways if way.synapse is not None and not grade]
    return sum(int(np.abs(s.weight).reshape(len(s.weight), -1).sum(axis=1).max()) for s in synapses)


def _room(plan: Prepared, block: Block) -> int | None:
    """See `Loss.room`: the voltage takes 64 times what arrives, in 24 bits."""
    reach, keeps = _reach(plan, block), float(plan.form.kept.max())
    if not never_fires(block) or not reach or (keeps < 1 and reach / (1 - keeps) < WRAPS):
        return None
    return (WRAPS - 1) // reach


def _leak_error(kept: Floats | None) -> float:
    if kept is None:
        return 0.0
    leak = 1 - kept
    some = leak > 0
    return 100 * float(np.abs(lost_of(kept)[some] / 4096 / leak[some] - 1).max()) if some.any() else 0.0
