"""Neurons of the float network: integrate-and-fire as Speck has it, and the leaky neurons that frameworks have.

One equation holds every framework's form of a leaky neuron: readers turn time constants, sigmoids and Euler steps into
the factors of a step. `docs/networks.md` has the table of frameworks and classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.network.arguments import spreads
from i2e_deploy.network.op import Array, Op, Shape, State, as_given, one_input

if TYPE_CHECKING:
    from torch import Tensor

#: What n spikes take from the state: n thresholds, or all of it.
ResetMode = Literal["subtract", "zero"]
#: What a spike does to a leaky neuron: it subtracts, sets the membrane potential to a value, or does nothing.
LeakyReset = Literal["subtract", "value", "none"]
#: Range of thresholds and bounds: float32 with room for products.
SMALLEST, LARGEST = 1e-30, 1e30
#: Spikes of a neuron in a step, at most: traces hold 32 bits.
MAX_SPIKES = 2**31 - 1


@dataclass(frozen=True, eq=False)
class IntegrateAndFire(Op):
    """Integrate-and-fire neurons without leak.

    Args:
        threshold: spike threshold, in the units of the weights; > 0.
        min_v: lower bound of the membrane potential; None = no bound.
        max_spikes: most spikes a neuron may emit in one step; None = as many as the threshold fits in.
        reset: after n spikes, `"subtract"` takes n thresholds off, `"zero"` sets the state to zero.
        start: membrane potential before the first step, float32, spread over the neurons as NumPy does; None = 0.
    """

    arrays: ClassVar[tuple[str, ...]] = ("start",)

    threshold: float = 1.0
    min_v: float | None = None
    max_spikes: int | None = None
    reset: ResetMode = "subtract"
    start: Array | None = None

    def __post_init__(self) -> None:
        _check_parameter("start", self.start)
        if not SMALLEST <= self.threshold <= LARGEST:
            raise InputError(f"spike threshold is {self.threshold:.3g}: it must be above 0 and within float32")
        if self.min_v is not None and not -LARGEST <= self.min_v <= 0:
            raise InputError(
                f"lower bound min_v is {self.min_v:.3g}: it must be 0 or below and within float32, or None"
            )
        if self.max_spikes is not None and (type(self.max_spikes) is not int or not 1 <= self.max_spikes <= MAX_SPIKES):
            raise InputError(f"max_spikes is {self.max_spikes!r}: give a whole number from 1 to {MAX_SPIKES}, or None")
        if self.reset not in ("subtract", "zero"):
            raise InputError(f"reset is {self.reset!r}: choose 'subtract' or 'zero'")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntegrateAndFire) or self._numbers() != other._numbers():
            return False
        if self.start is None or other.start is None:
            return self.start is other.start
        return np.array_equal(self.start, other.start)

    def __hash__(self) -> int:
        return hash(self._numbers())

    def _numbers(self) -> tuple[float, float | None, int | None, str]:
        return self.threshold, self.min_v, self.max_spikes, self.reset

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        shape = one_input(given)
        _check_spread("start", self.start, shape)
        return shape

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`: integrate, fire, reset, and only then hold the state at the lower bound."""
        (x,) = given
        start = as_given(self.start, x)
        v = state["v_mem"] + x if state else x if start is None else start + x
        spikes = (v / self.threshold).trunc().clamp(min=0, max=self.max_spikes)
        v = v - spikes * self.threshold if self.reset == "subtract" else v * (spikes == 0)
        if self.min_v is not None:  # a sum, as sinabs' lif_forward_single: a maximum rounds otherwise in float32
            v = (v - self.min_v).clamp(min=0) + self.min_v
        return spikes, {"v_mem": v}

    def describe(self) -> str:
        """See `Op.describe`."""
        start = "" if self.start is None else f", start {_range(self.start)}"
        return f"IF threshold {self.threshold:g}, reset {self.reset}{start}"


@dataclass(frozen=True, eq=False)
class LeakyIntegrateAndFire(Op):
    """Leaky neurons: LIF, CUBA-LIF, adaptive LIF, and the leaky integrator that does not fire.

    Every parameter but the words is float32 and is spread over the neurons as NumPy does: `()` one for all,
    `(C, 1, 1)` one a channel, `(C, H, W)` or `(N,)` one a neuron. In a step, for the input x:

        current     = current_decay * current + current_gain * x          (only with a current_decay)
        v           = decay * v + gain * (current, or x) + bias
        v           = v - amount * (spikes of the step before), or reset_value where it fired    (only if late_reset)
        v           = v - threshold where the v of the step before is still above it                (only if backlog)
        bound       = threshold + adaptation
        spikes      = how often `bound` fits into v, at most max_spikes
        v           = v - amount * spikes, or reset_value where it fired                     (only if not late_reset)
        v           = v + threshold where it was subtracted before                                  (only if backlog)
        v           = max(v, min_v)
        adaptation  = adaptation_decay * adaptation + adaptation_step * spikes  (only with an adaptation_decay)

    Args:
        decay: what is left of the membrane potential after a step.
        gain: of what arrives at the membrane.
        bias: added to the membrane potential in every step; a leak towards a rest v0 is (1 - decay) * v0.
        threshold: > 0; None = never fires: its output is the membrane potential (a leaky integrator).
        max_spikes: most spikes a neuron may emit in one step; None = as many as the threshold fits in.
        strict: fires when v is above the threshold; else at the threshold too.
        reset: what a spike does to v.
        reset_value: the value to which `"value"` sets it, None = 0; the amount that `"subtract"` takes off for each
            spike, None = the bound that it passed.
        late_reset: the reset follows in the next step, after decay and input (snnTorch's `reset_delay`): what is
            subtracted does not decay, and `"value"` discards the input of that step.
        backlog: a neuron that is still above its threshold after its reset fires in the next step only from two
            thresholds on (snnTorch's `reset_delay=False`); only with a reset that subtracts the threshold at once.
        min_v: lower bound of the membrane potential, None = none.
        start: membrane potential before the first step, None = 0.
        current_decay: of a synaptic current; None = the input reaches the membrane itself.
        current_gain: of what arrives at the current.
        current_start: the current before the first step, None = 0.
        old_current: the membrane integrates the current as it was before this step's input (Norse).
        adaptation_decay: of the adaptation; None = the threshold does not move.
        adaptation_step: by how much a spike raises the threshold.

    Raises:
        InputError: an array that is no float32, values that are not finite, a threshold of 0 or below, an unknown word.
    """

    arrays: ClassVar[tuple[str, ...]] = (
        "decay", "gain", "bias", "threshold", "reset_value", "min_v", "start",
        "current_decay", "current_gain", "current_start", "adaptation_decay", "adaptation_step",
    )  # fmt: skip

    decay: Array
    threshold: Array | None = None
    gain: Array | None = None
    bias: Array | None = None
    max_spikes: int | None = 1
    strict: bool = False
    reset: LeakyReset = "subtract"
    reset_value: Array | None = None
    late_reset: bool = False
    backlog: bool = False
    min_v: Array | None = None
    start: Array | None = None
    current_decay: Array | None = None
    current_gain: Array | None = None
    old_current: bool = False
    adaptation_decay: Array | None = None
    adaptation_step: Array | None = None
    current_start: Array | None = None

    def __post_init__(self) -> None:
        for name in self.arrays:
            _check_parameter(name, getattr(self, name))
        if self.threshold is not None and not (self.threshold >= SMALLEST).all():
            raise InputError(f"spike threshold is {self.threshold.min():.3g}: it must be above 0 and within float32")
        if self.max_spikes is not None and (type(self.max_spikes) is not int or not 1 <= self.max_spikes <= MAX_SPIKES):
            raise InputError(f"max_spikes is {self.max_spikes!r}: give a whole number from 1 to {MAX_SPIKES}, or None")
        if self.reset not in ("subtract", "value", "none"):
            raise InputError(f"reset is {self.reset!r}: choose 'subtract', 'value' or 'none'")
        for name in ("strict", "late_reset", "backlog", "old_current"):
            if type(getattr(self, name)) is not bool:
                raise InputError(f"{name} is {getattr(self, name)!r}: give True or False")
        for name in ("current_gain", "current_start"):
            if self.current_decay is None and getattr(self, name) is not None:
                raise InputError(f"{name} is given without current_decay: give both, or neither")
        plain = self.reset == "subtract" and self.reset_value is None and not self.late_reset
        if self.backlog and not (plain and self.threshold is not None and self.adaptation_decay is None):
            raise InputError("backlog is for neurons that subtract their threshold at once: leave it off")
        if (self.adaptation_decay is None) != (self.adaptation_step is None):
            raise InputError("of adaptation_decay and adaptation_step one is given: give both, or neither")
        if self.adaptation_decay is not None and self.threshold is None:
            raise InputError("neurons without threshold have nothing to adapt: leave adaptation_decay out")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        shape = one_input(given)
        for name in self.arrays:
            _check_spread(name, getattr(self, name), shape)
        return shape

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`; the equations are those of the class."""
        import torch

        (x,) = given
        of = {name: as_given(getattr(self, name), x) for name in self.arrays}
        after: dict[str, Tensor] = {}
        drive = x
        if (keeps := of["current_decay"]) is not None:
            before = state["current"] if "current" in state else torch.zeros_like(x) + _or_zero(of["current_start"])
            after["current"] = keeps * before + (x if of["current_gain"] is None else of["current_gain"] * x)
            drive = before if self.old_current else after["current"]
        v = state["v_mem"] if "v_mem" in state else torch.zeros_like(x) + _or_zero(of["start"])
        decay = as_given(self.decay, x)
        assert decay is not None
        v = decay * v + (drive if of["gain"] is None else of["gain"] * drive)
        v = v if of["bias"] is None else v + of["bias"]
        if (threshold := of["threshold"]) is None:
            v = v if of["min_v"] is None else torch.maximum(v, of["min_v"])
            return v, {**after, "v_mem": v}
        if self.late_reset and "spikes" in state:
            v = self._reset(v, state["spikes"], state.get("bound", threshold), of["reset_value"])
        owed = (state["v_mem"] > threshold).to(v) if self.backlog and "v_mem" in state else None
        v = v if owed is None else v - owed * threshold
        adaptation = state.get("adaptation", torch.zeros_like(x))
        grows = of["adaptation_step"]
        bound = threshold if grows is None else threshold + adaptation
        spikes = self._spikes(v, bound)
        if self.late_reset:
            after["spikes"] = spikes
            after |= {} if bound is threshold else {"bound": bound}
        else:
            v = self._reset(v, spikes if owed is None else spikes - owed, bound, of["reset_value"])
        v = v if of["min_v"] is None else torch.maximum(v, of["min_v"])
        if grows is not None and (fades := of["adaptation_decay"]) is not None:
            after["adaptation"] = fades * adaptation + grows * spikes
        return spikes, {"v_mem": v, **after}

    def _spikes(self, v: Tensor, bound: Tensor) -> Tensor:
        """How often the bound fits into v."""
        if self.max_spikes == 1:
            return (v > bound if self.strict else v >= bound).to(v)
        times = (v / bound).ceil() - 1 if self.strict else (v / bound).floor()
        return times.clamp(min=0, max=self.max_spikes)

    def _reset(self, v: Tensor, spikes: Tensor, bound: Tensor, value: Tensor | None) -> Tensor:
        """What the spikes leave of v."""
        import torch

        if self.reset == "none":
            return v
        if self.reset == "subtract":
            return v - spikes * (bound if value is None else value)
        return torch.where(spikes > 0, torch.zeros_like(v) + _or_zero(value), v)

    def describe(self) -> str:
        """See `Op.describe`."""
        kind = "CUBA-" if self.current_decay is not None else ""
        if self.threshold is None:
            return f"{kind}LI decay {_range(self.decay)}"
        kind += "adaptive " if self.adaptation_decay is not None else ""
        late = " in the next step" if self.late_reset and self.reset != "none" else ""
        late = " with a backlog" if self.backlog else late
        resets = {"subtract": "by subtraction", "value": "to a value", "none": "none"}[self.reset]
        return f"{kind}LIF decay {_range(self.decay)}, threshold {_range(self.threshold)}, reset {resets}{late}"

    def __repr__(self) -> str:
        return f"<{self.describe()}>"


def without_leak(op: LeakyIntegrateAndFire) -> tuple[IntegrateAndFire, Array, Array] | None:
    """Leaky neurons that do not leak, as integrate-and-fire neurons, with the gain of what they are given and the bias
    that each step adds to it, float32; None: they do something else.

    They compute the same, up to the rounding of gain * x + bias.
    """
    plain = (op.current_decay, op.adaptation_decay)
    if op.threshold is None or any(part is not None for part in plain) or (op.decay != 1).any() or op.strict:
        return None
    if op.reset == "none" or op.late_reset or op.backlog:
        return None
    value = op.reset_value
    zero = value is None or not value.any()
    if (op.reset == "value" and not zero) or (op.reset == "subtract" and value is not None):
        return None
    if np.unique(op.threshold).size > 1 or (
        op.min_v is not None and (np.unique(op.min_v).size > 1 or op.min_v.max() > 0)
    ):
        return None
    low = None if op.min_v is None else float(op.min_v.flat[0])
    reset: ResetMode = "subtract" if op.reset == "subtract" else "zero"
    neurons = IntegrateAndFire(float(op.threshold.flat[0]), low, op.max_spikes, reset, op.start)
    one, none = np.ones((), np.float32), np.zeros((), np.float32)
    return neurons, one if op.gain is None else op.gain, none if op.bias is None else op.bias


def parameter(value: Any) -> Array:
    """A number, or an array of any real dtype, as a parameter of neurons: float32.

    Raises:
        InputError: it holds no numbers, or not finite ones.
    """
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"a parameter is {value!r}: give numbers") from None
    if not np.isfinite(array).all() or (np.abs(array) > LARGEST).any():
        raise InputError("a parameter is not finite or beyond float32: was the training stable?")
    return array.astype(np.float32)


def _check_parameter(name: str, array: Array | None) -> None:
    if array is None:
        if name == "decay":
            raise InputError("decay is None: give what is left of the membrane potential after a step")
        return
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or not array.size:
        kind = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"{name} is {kind}: give a float32 array, see network.neurons.parameter")
    if not np.isfinite(array).all() or (np.abs(array) > LARGEST).any():
        raise InputError(f"{name} holds values that are not finite or beyond float32: was the training stable?")


def _or_zero(value: Tensor | None) -> Tensor | int:
    return 0 if value is None else value


def _check_spread(name: str, array: Array | None, shape: Shape) -> None:
    """Raise InputError unless a parameter spreads over neurons of `shape`."""
    if array is not None and not spreads(array.shape, shape):
        raise InputError(
            f"has {name} of shape {list(array.shape)} for neurons of shape {list(shape)}: "
            "give one value, one a channel (C, 1, 1), or one a neuron"
        )


def _range(array: Array) -> str:
    low, high = float(array.min()), float(array.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
