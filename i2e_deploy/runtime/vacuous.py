"""What a result does not say: nothing fired, or classes tied, so that a decision is a number and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from i2e_deploy.text import listed


def not_yet(quiet: Sequence[str], latencies: Mapping[str, int], steps: int) -> tuple[str, ...]:
    """Of layers in which nothing fired those whose first step comes after the last of the frames.

    Args:
        quiet: see `Trace.quiet_layers`.
        latencies: see `Program.latencies`.
        steps: of the frames.
    """
    return tuple(name for name in quiet if latencies.get(name, 0) >= steps)


def vacuous(
    samples: int, decisions: int, silent: int, ties: int, quiet: Sequence[str], late: Sequence[str] = ()
) -> list[str]:
    """A line each on what says nothing; none where all is well.

    Args:
        samples, decisions: of the run.
        silent: samples on which no output fired, see `Trace.silent`.
        ties: decisions between equal scores, see `Trace.ties`.
        quiet: layers in which nothing fired, see `Trace.quiet_layers`.
        late: of these, see `not_yet`.
    """
    quiet = [name for name in quiet if name not in late]
    told = (
        (f"no output fired on {silent} of {samples} samples: class 0 there says nothing", silent > 0),
        (f"{ties} of {decisions} decisions are ties: the lowest class number was taken", ties > 0),
        (f"nothing fires in {listed(quiet)} on any sample: look at thresholds and scales", len(quiet) > 0),
        (f"the frames end before {listed(late)} can fire: add empty steps to see what they do", len(late) > 0),
    )
    return [line for line, there in told if there]
