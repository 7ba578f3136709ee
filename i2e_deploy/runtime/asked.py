"""What an evaluation is asked for, checked before and while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from i2e_deploy.chips.base import SIMULATORS, Program
from i2e_deploy.chips.options import FLOAT, Target
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.chips.values import Values
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events.array import Events
from i2e_deploy.runtime.evaluation import TargetResult


def check_asked(frames: Integers, labels: NDArray[Any] | None, targets: Sequence[Target]) -> None:
    """Raise InputError unless there are samples, a label for each if any, and targets, each once."""
    if not len(frames) or (labels is not None and len(labels) != len(frames)):
        raise InputError(f"{len(frames)} samples and {0 if labels is None else len(labels)} labels: give one a sample")
    if not targets or len(set(targets)) != len(targets):
        raise InputError(f"targets {list(targets)}: name at least one, each once")


def check_values(
    program: Program, labels: NDArray[Any] | None, targets: Sequence[Target], values: Values | None
) -> None:
    """Raise InputError where labels are values and nobody says what outputs are worth, or the reverse."""
    if labels is not None and labels.dtype.kind == "f" and values is None:
        raise InputError(
            "the targets are values: say what a unit of the output is worth (--value-scale 0.25, or evaluate(values=))"
        )
    if labels is not None and labels.dtype.kind != "f" and values is not None:
        raise InputError("outputs are read as values, the labels are classes: leave out --value-scale, or give targets")
    if values is not None and FLOAT in targets and program.deciding.of_state:
        raise InputError(
            "target 'float': its states are in other units than the chip's, so that one --value-scale cannot be right "
            "for both; leave it out, or read spikes"
        )


def check_chain(targets: Sequence[Target]) -> None:
    """Raise UnsupportedError unless every target can go on from states."""
    for name in targets:
        if name not in SIMULATORS:
            raise UnsupportedError(
                f"target {name!r} starts every sample afresh: states are kept from sample to sample on "
                f"{' and '.join(SIMULATORS)} alone; leave out the target, or the chain"
            )


def check_recordings(recordings: Sequence[Events], frames: Integers) -> None:
    """Raise InputError unless there is a recording with events for every sample."""
    if len(recordings) != len(frames):
        raise InputError(f"{len(recordings)} recordings of {len(frames)} samples: give one a sample, or none")
    empty = next((i for i, events in enumerate(recordings) if not len(events)), None)
    if empty is not None:
        raise InputError(f"recording {empty} has no event on the pixels of the network: leave it out")


def check_labels(labels: NDArray[Any] | None, trace: Trace, values: Values | None) -> None:
    """Raise InputError unless the labels, or the values that were wanted, fit what a run gives."""
    given, classes = trace.scores().shape[1:], trace.scores().shape[-1]
    if labels is not None and values is not None and labels.shape[1:] != given:
        wanted = ", ".join(["N", *map(str, given)])
        each = "; --readout-kind step reads a value in each step" if labels.ndim == 3 and len(given) == 1 else ""
        raise InputError(f"targets have shape {list(labels.shape)}: outputs are read as [{wanted}]{each}")
    if labels is not None and values is None and labels.shape[1:] not in ((), given[:-1]):
        raise InputError(f"labels have shape {list(labels.shape)}: give one a sample, or one for every decision")
    if values is None and labels is not None and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(f"labels run from {labels.min()} to {labels.max()}: the network has {classes} classes")


def refuse_silence(result: TargetResult, program: Program) -> None:
    """Raise InputError where every decision is class 0 because nothing fired."""
    if result.silent == result.samples:
        raise InputError(
            f"no output fires on {result.target} in any of {result.samples} samples, so spikes decide nothing: if "
            f"layer {program.layer_names[-1]!r} is not meant to fire, read its state with --readout-kind state "
            "(Program.decided_by); else look at the thresholds and at the frames"
        )
