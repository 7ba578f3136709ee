"""What a result does not say: nothing fired, or classes tied, so that a decision is a number and no more."""

from __future__ import annotations

from collections.abc import Sequence

from i2e_deploy.text import listed


def vacuous(samples: int, decisions: int, silent: int, ties: int, quiet: Sequence[str]) -> list[str]:
    """A line each on what says nothing; none where all is well.

    Args:
        samples, decisions: of the run.
        silent: samples on which no output fired, see `Trace.silent`.
        ties: decisions between equal scores, see `Trace.ties`.
        quiet: layers in which nothing fired, see `Trace.quiet_layers`.
    """
    told = (
        (f"no output fired on {silent} of {samples} samples: class 0 there says nothing", silent > 0),
        (f"{ties} of {decisions} decisions are ties: the lowest class number was taken", ties > 0),
        (f"nothing fires in {listed(quiet)} on any sample: look at thresholds and scales", len(quiet) > 0),
    )
    return [line for line, there in told if there]
