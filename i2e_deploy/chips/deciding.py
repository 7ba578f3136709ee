"""How the output of a network becomes a decision: what of it is added up, and which sums compete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.checked import checked_integer
from i2e_deploy.errors import InputError
from i2e_deploy.text import counted, record_repr

#: Of classes: int64, float64 for the target `float`.
Scores = NDArray[Any]
Kind = Literal["count", "mean", "state", "state-mean", "step"]
#: Most classes of a record out of a file.
MAX_CLASSES, MAX_LAG = 2**20, 2**10

_SAID: Mapping[Kind, str] = {
    "count": "spikes counted over all steps",
    "mean": "mean of the values that it sends",
    "state": "its state at the end",
    "state-mean": "mean of its state over the steps",
    "step": "a decision in every step",
}


@dataclass(frozen=True)
class Deciding:
    """How an output is read. The largest score wins, the lowest number on a tie.

    Args:
        kind: what the scores are. `count`: what each output sent, added up over all steps; without a spike there is no
            decision. `mean`: the same of outputs that send values: 0 is a value. `state`: a state variable of the
            output layer after the last step. `state-mean`: its mean over the steps. `step`: what was sent in each
            step, a decision a step.
        lag: steps that the network runs on without input, so that what is on its way arrives; steps are then counted
            from this one on, as many as there are frames.
        classes: outputs are averaged in so many groups of neighbours of equal size; 0: each output is a class.
        layer, variable: of the state; "" = the program's own choice.

    Raises:
        InputError: an unknown kind, or a value out of range.
    """

    kind: Kind = "count"
    classes: int = 0
    lag: int = 0
    layer: str = ""
    variable: str = ""

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"readout kind {self.kind!r}: choose one of {', '.join(get_args(Kind))}")
        if not 0 <= self.classes <= MAX_CLASSES:
            raise InputError(f"readout of {self.classes} classes: give 1 to {MAX_CLASSES}, or 0 for a class an output")
        if not 0 <= self.lag <= MAX_LAG:
            raise InputError(f"readout after {self.lag} more steps: give 0 to {MAX_LAG}")
        if (self.layer or self.variable) and not self.of_state:
            raise InputError(f"readout kind {self.kind!r} reads no state: leave out the variable {self.variable!r}")

    def __str__(self) -> str:
        variable = f":{self.variable}" if self.variable else ""
        return f"{self.kind}{variable}{f'+{self.lag}' if self.lag else ''}{f'/{self.classes}' if self.classes else ''}"

    @property
    def of_state(self) -> bool:
        """Whether a state variable is read, and not what is sent."""
        return self.kind in ("state", "state-mean")

    @property
    def of_spikes(self) -> bool:
        """Whether an output that sends nothing has no decision."""
        return self.kind in ("count", "step")

    def describe(self) -> str:
        """What it is, in a few words for people."""
        late = f", {counted(self.lag, 'step')} on" if self.lag else ""
        groups = f", means of {self.classes} groups of outputs" if self.classes else ""
        return f"{_SAID[self.kind]}{f' ({self.variable})' if self.variable else ''}{late}{groups}"

    def check(self, outputs: int) -> None:
        """Raise InputError unless so many outputs fall into equal groups."""
        if self.classes and (outputs % self.classes or outputs < self.classes):
            raise InputError(
                f"readout {self}: {outputs} outputs do not fall into {self.classes} equal groups: "
                "give a number of classes that divides them"
            )

    def pack(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


#: How every network is read that says nothing else.
COUNT = Deciding()


def unpack_deciding(data: Any) -> Deciding:
    """The inverse of `Deciding.pack`, of what a file holds; None, as in files of earlier versions, is the spike count.

    Raises:
        InputError, KeyError, TypeError, ValueError: it is none.
    """
    if data is None:
        return COUNT
    classes, lag = checked_integer(data["classes"], 0), checked_integer(data["lag"], 0)
    return Deciding(data["kind"], classes, lag, str(data["layer"]), str(data["variable"]))


def parse_deciding(text: str) -> Deciding:
    """`KIND[:VARIABLE][+LAG][/CLASSES]`, e.g. `count/11` or `state-mean:v+1`.

    Raises:
        InputError: it is none.
    """
    found = re.fullmatch(r"([a-z-]+)(?::(\w+))?(?:\+(\d{1,5}))?(?:/([1-9]\d{0,6}))?", text)
    if found is None:
        kinds = ", ".join(get_args(Kind))
        raise InputError(f"--readout-kind is {text!r}: write a kind ({kinds}), e.g. state, state:v or count/10")
    numbers = int(found[4] or 0), int(found[3] or 0)
    return Deciding(found[1], *numbers, variable=found[2] or "")  # type: ignore[arg-type]  # it checks


def grouped(deciding: Deciding, values: NDArray[Any]) -> Scores:
    """Scores of classes [..., classes] from values of outputs [..., N]: sums of groups, whose order is the means'.

    Raises:
        InputError: see `Deciding.check`.
    """
    whole = np.asarray(values, _wide(values))
    if not deciding.classes:
        return whole
    deciding.check(whole.shape[-1])
    return np.asarray(whole.reshape(*whole.shape[:-1], deciding.classes, -1).sum(axis=-1))


def _wide(values: NDArray[Any]) -> type[np.int64] | type[np.float64]:
    """The dtype of sums: a float network's outputs may be fractions."""
    return np.float64 if values.dtype.kind == "f" else np.int64


def scores_of(deciding: Deciding, output: NDArray[Any], state: NDArray[Any] | None = None) -> Scores:
    """Scores of the classes, whose order is that of what `deciding` reads: means are left as sums, so all are integers.

    Args:
        deciding: how the output is read.
        output: integers [B, T, N], what left the network.
        state: integers [B, ...]: the state variable when it is read, or its sum over the steps; None: not known.

    Returns:
        int64 [B, classes], for `step` [B, T, classes].

    Raises:
        InputError: a state is needed and not known, or outputs do not fall into groups.
    """
    if deciding.of_state:
        if state is None:
            other = "choose another --readout-kind, or a target that reports it (simulator, reference)"
            raise InputError(f"readout {deciding}: this target does not report that state; {other}")
        return grouped(deciding, np.asarray(state).reshape(len(state), -1))
    return grouped(deciding, output if deciding.kind == "step" else output.sum(axis=1, dtype=_wide(output)))


def tied(scores: Scores) -> NDArray[np.bool_]:
    """Where several classes share the largest score: bool [...]."""
    return np.asarray((scores == scores.max(axis=-1, keepdims=True)).sum(axis=-1) > 1)
