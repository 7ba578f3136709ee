"""Log decisions to Rerun, when it is installed. It starts Rerun's own viewer: docs/live.md says what that sends.

Written against rerun-sdk 0.41's documentation; the tests use a stand-in.
"""

from __future__ import annotations

from typing import Any

from i2e_deploy.errors import MissingDependency
from i2e_deploy.requirements import install_command
from i2e_deploy.runtime.decider import Decision


class RerunLog:
    """Scores, spikes and latency over the stream's time; one Rerun recording."""

    def __init__(self, name: str = "i2e-deploy live") -> None:
        try:
            import rerun
        except ImportError as error:
            raise MissingDependency("rerun-sdk", "--rerun", install_command("rerun-sdk")) from error
        self._rerun: Any = rerun
        rerun.init(name, spawn=True)

    def decided(self, decision: Decision) -> None:
        """Log one decision."""
        log, scalars = self._rerun.log, self._rerun.Scalars
        self._rerun.set_time("stream", duration=decision.end / 1e6)
        log("decision/scores", self._rerun.BarChart(list(decision.scores)))
        log("decision/choice", scalars(decision.choice))
        log("latency_ms", scalars(1e3 * decision.latency))
        log("events", scalars(decision.events))
        for layer, spikes in decision.spikes.items():
            log(f"spikes/{layer}", scalars(spikes))
