"""Float neurons in one normal form, which says what the chip's standard neuron lacks and what no neuron has.

The voltage counts from the potential that the neurons start with, and in units of each neuron's own threshold where the
weights can take that up: reset, leak and spikes do not change by that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from i2e_deploy.chips.loihi2.lowering.graded import VALUES
from i2e_deploy.chips.loihi2.lowering.maps import Floats
from i2e_deploy.chips.loihi2.lowering.stages import Stage
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.op import Array
from i2e_deploy.text import record_repr


@dataclass(frozen=True, eq=False)
class Form:
    """Neurons, every array float64 [N], C outermost.

    Args:
        gain: of what arrives, into the unit of the voltage.
        unit: one unit of the voltage in the float network: the threshold where there is one.
        bias: of the voltage in every step, in its unit.
        kept, current_kept: what is left of the voltage and of the current after a step.
        threshold: in units of the voltage; None: never fires.
        after: what a spike does, `"zero"`, `"value"`, `"subtract"` (the threshold), `"amount"` or `"none"`.
        value: to which `"value"` sets it, or which `"amount"` takes off.
        late_reset, strict, max_spikes: see `LeakyIntegrateAndFire`.
        lowest: lower bound, or None.
        adaptation_kept, adaptation_step: of the adaptive threshold, or None.
        origin: where the float network's potential starts, in its own unit: the chip's counts from there.
    """

    gain: Floats
    unit: Floats
    bias: Floats
    kept: Floats
    current_kept: Floats
    threshold: Floats | None
    after: Literal["zero", "value", "subtract", "amount", "none"] = "zero"
    value: Floats | None = None
    late_reset: bool = False
    strict: bool = True
    max_spikes: int | None = 1
    lowest: Floats | None = None
    adaptation_kept: Floats | None = None
    adaptation_step: Floats | None = None
    origin: Floats | float = 0.0

    __repr__ = record_repr

    @property
    def leaks(self) -> bool:
        """Whether voltage or current decay, but not at once."""
        return any(((kept > 0) & (kept < 1)).any() for kept in (self.kept, self.current_kept))


def form_of(stage: Stage) -> Form:
    """The normal form of a stage's neurons.

    Raises:
        UnsupportedError: no neuron of the chip does this; the message begins with what.
    """
    size = int(np.prod(stage.shape))
    if stage.neurons is None:  # adds up what leaves the network
        one = np.ones(size)
        return Form(one, one, stage.bias, one, 0 * one, None)
    if isinstance(stage.neurons, VALUES):  # keep nothing from step to step
        one = np.ones(size)
        return Form(one, one, stage.bias, 0 * one, 0 * one, None)
    if isinstance(stage.neurons, IntegrateAndFire):
        form = _integrate_and_fire(stage.neurons, size)
    else:
        assert isinstance(stage.neurons, LeakyIntegrateAndFire)
        form = _leaky(stage.neurons, stage)
    form = replace(form, bias=form.bias + form.gain * stage.bias)
    return form if form.threshold is None else _in_thresholds(form, stage)


def beyond_standard(form: Form) -> list[str]:
    """What the chip's standard neuron (`CubaLif`) does not do, in words; `>=` is told apart from it elsewhere."""
    found = ["lower bound of the voltage"] if form.lowest is not None else []
    if form.threshold is None:
        return found
    if form.after in ("subtract", "amount"):
        found.append("reset by subtraction")
    if form.after == "none":
        found.append("no reset")
    if form.after == "value":
        found.append("reset to a value")
    if form.late_reset and form.after != "none":
        found.append("reset in the next step")
    if form.max_spikes != 1:
        found.append("several spikes a step")
    if form.adaptation_step is not None:
        found.append("adaptive threshold")
    if np.ptp(form.threshold) > 0:
        found.append("several thresholds")
    return found


def standard(form: Form) -> Form:
    """The closest form that the standard neuron computes.

    Raises:
        UnsupportedError: there is none.
    """
    if form.adaptation_step is not None:
        raise UnsupportedError("has an adaptive threshold, and no form of the standard neuron is close to that")
    if form.after == "none":
        raise UnsupportedError("is not reset by a spike, and no form of the standard neuron is close to that")
    threshold = None if form.threshold is None else np.full_like(form.threshold, form.threshold.mean())
    return replace(form, threshold=threshold, after="zero", value=None, late_reset=False, max_spikes=1, lowest=None)


def _integrate_and_fire(op: IntegrateAndFire, size: int) -> Form:
    if op.start is not None and op.start.any():
        raise UnsupportedError("starts from states that are not 0: the chip starts at 0; read it with states='zero'")
    one = np.ones(size)
    return Form(
        gain=one, unit=one, bias=0 * one, kept=one, current_kept=0 * one, threshold=op.threshold * one,
        after="zero" if op.reset == "zero" else "subtract", strict=False, max_spikes=op.max_spikes,
        lowest=None if op.min_v is None else op.min_v * one,
    )  # fmt: skip


def _leaky(op: LeakyIntegrateAndFire, stage: Stage) -> Form:
    size = int(np.prod(stage.shape))
    shape = stage.shape

    def spread(array: Array | None, default: float) -> Floats:
        if array is None:
            return np.full(size, default)
        same = array if len(shape) != 3 or array.ndim != 2 else array[:, None]  # rows (C, L) are images (C, 1, L)
        return np.broadcast_to(same.astype(np.float64), shape).reshape(-1).copy()

    if op.backlog:
        raise UnsupportedError(
            "subtracts what it owes before it compares (snnTorch's reset_delay=False): the chip compares first; train "
            "with reset_delay=True"
        )
    if op.current_start is not None and op.current_start.any():
        raise UnsupportedError("starts with a current: the chip's currents start at 0; leave current_start out")
    kept, current_kept = spread(op.decay, 1), spread(op.current_decay, 0)
    for name, values in (("decay", kept), ("current_decay", current_kept)):
        if values.min() < 0 or values.max() > 1:
            raise UnsupportedError(f"has {name} {values.min():g} to {values.max():g}: the chip has 0 to 1")
    start = spread(op.start, 0)
    form = Form(
        gain=spread(op.gain, 1) * spread(op.current_gain, 1), unit=np.ones(size),
        bias=spread(op.bias, 0) - (1 - kept) * start, kept=kept, current_kept=current_kept, threshold=None,
        lowest=None if op.min_v is None else spread(op.min_v, 0) - start, origin=start,
    )  # fmt: skip
    if op.threshold is None and np.ptp(start) > 0:
        raise UnsupportedError("reads potentials that start at different values: the chip starts all of them at 0")
    if form.lowest is not None and form.lowest.max() > 0:
        raise UnsupportedError("starts below its lower bound: start at or above it")
    if op.threshold is None:
        return form
    threshold = spread(op.threshold, 1) - start
    if threshold.min() <= 0:
        raise UnsupportedError("starts at or above its threshold: the chip starts at 0; start below it")
    form = replace(form, threshold=threshold, late_reset=op.late_reset, strict=op.strict, max_spikes=op.max_spikes)
    return _adapting(op, _resetting(op, form, spread(op.reset_value, 0), start, spread(op.threshold, 1)),
                     spread(op.adaptation_decay, 0), spread(op.adaptation_step, 0))  # fmt: skip


def _resetting(op: LeakyIntegrateAndFire, form: Form, value: Floats, start: Floats, threshold: Floats) -> Form:
    """With what a spike does."""
    if op.reset == "none":
        return replace(form, after="none")
    if op.reset == "value":
        value = value - start
        if form.lowest is not None:
            value = np.maximum(value, form.lowest)
        return replace(form, after="value" if value.any() else "zero", value=value)
    if op.reset_value is None and not start.any():
        return replace(form, after="subtract")  # the bound that was passed, adaptation included
    if op.reset_value is None and op.adaptation_step is not None:
        raise UnsupportedError("subtracts its moving threshold and starts elsewhere than at 0: start it at 0")
    amount = threshold if op.reset_value is None else value
    assert form.threshold is not None
    if op.adaptation_step is None and np.array_equal(amount, form.threshold):
        return replace(form, after="subtract")
    return replace(form, after="amount", value=amount)


def _adapting(op: LeakyIntegrateAndFire, form: Form, kept: Floats, step: Floats) -> Form:
    """With the adaptation, which the chip lets decay before it is compared: its steps are larger by that."""
    if op.adaptation_step is None:
        return form
    if kept.min() <= 0 or kept.max() > 1 or step.min() < 0:
        raise UnsupportedError("adapts with a decay outside 0 to 1 (0 excluded) or by steps below 0: the chip cannot")
    return replace(form, adaptation_kept=kept, adaptation_step=step / kept)


def _in_thresholds(form: Form, stage: Stage) -> Form:
    """In units of the thresholds, each neuron's own where one a channel holds for all its places."""
    assert form.threshold is not None
    each = form.threshold.reshape(stage.shape[0], -1)
    unit = form.threshold if (each == each[:, :1]).all() else np.full_like(form.threshold, form.threshold.mean())

    def by(values: Floats | None) -> Floats | None:
        return None if values is None else values / unit

    return replace(
        form, gain=form.gain / unit, unit=unit, bias=form.bias / unit, threshold=form.threshold / unit,
        value=by(form.value), lowest=by(form.lowest), adaptation_step=by(form.adaptation_step),
    )  # fmt: skip
