"""Findings that only a run can show."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.check import Finding, Severity
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.chips.truenorth.program import CoreNetwork
from i2e_deploy.network.graph import Network
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire


def findings_of(network: Network, made: CoreNetwork, frames: Integers, trace: Trace) -> tuple[Finding, ...]:
    """Of a run on frames [B, T, *input_shape].

    Args:
        trace: of the program on these frames.
    """
    rows = []
    lost = int(frames[frames > 1].astype(np.int64).sum() - (frames > 1).sum())
    if lost:
        text = f"{lost:,} of {int(frames.sum(dtype=np.int64)):,} events are a second one of their line and tick"
        rows.append(Finding("input events lost", "", text, "", "", "warning", "use shorter steps, or binary frames"))
    for name, counts in trace.counts.items():
        severity: Severity = "warning" if counts.saturations else "ok"
        rows.append(Finding("saturations", name, counts.saturations, 0, "updates", severity))
    return (*rows, *_beside_float(network, made, frames, trace))


def _beside_float(network: Network, made: CoreNetwork, frames: Integers, trace: Trace) -> list[Finding]:
    """How many spikes differ from those of the float network, on frames as the chip gets them."""
    run = network.run((frames > 0).astype(np.float32))
    neurons = [item.name for item in network.layers if isinstance(item.op, IntegrateAndFire | LeakyIntegrateAndFire)]
    following = {item.inputs[0]: item.name for item in network.layers if item.name in neurons}
    rows = []
    for layer in made.layers:
        source = layer.name if layer.name in neurons else following[layer.name]
        steps = frames.shape[1] - layer.latency
        if steps < 1:
            continue
        wanted = np.asarray(run.layers[source])[:, :steps].reshape(len(frames), steps, -1)
        got = trace.spikes[layer.name][:, layer.latency :].reshape(len(frames), steps, -1)
        differ = int((wanted != got).sum())
        text = f"{differ:,} of {got.size:,} differ from the float network's, which sends {int(wanted.sum()):,}"
        share = differ / max(1, int(wanted.sum()))
        rows.append(Finding("spikes", layer.name, text, "", "", "warning" if share > 0.05 else "info"))
    return rows
