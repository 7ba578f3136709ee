"""What a run on calibration data shows: how close states come to their limits, which messages differ elsewhere."""

from __future__ import annotations

from i2e_deploy.chips.check import Finding, Severity
from i2e_deploy.chips.loihi2.engine.run import run
from i2e_deploy.chips.loihi2.program import BlockNetwork, CubaLif
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts
from i2e_deploy.chips.profile import Profile
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import UnsupportedError


def calibration_findings(network: BlockNetwork, frames: Integers, profile: Profile) -> tuple[Finding, ...]:
    """Headroom; messages that Lava would compute otherwise; messages that SLAYER computed otherwise in training.

    Args:
        network: to run.
        frames: see `LoihiProgram.run`.
        profile: of the chip.

    Raises:
        InputError: frames that the network does not take.
    """
    trace = run(network, frames)
    findings = headroom(trace, profile)
    try:
        on_lava = run(network, frames, "lava")
    except UnsupportedError as error:
        findings.append(Finding("differ on Lava", "", str(error), "equal", "", "warning", "`export` corrects it"))
    else:
        findings += _differing(
            "differ on Lava", trace, on_lava, "netx and Lava change its numbers; `export` corrects them"
        )
    blocks = network.blocks
    late = [block for block in blocks if isinstance(block.neuron, CubaLif) and block.bias is not None]
    direct = any(connection.synapse is None for block in blocks for connection in block.connections)
    if late and not direct and all(getattr(block.neuron, "reset", None) is None for block in blocks):
        reset = network.with_reset(max(frames.shape[1] + 1, 3), 1, staggered=False)
        fix = "SLAYER's bias starts a step later: with_reset(T, 1, staggered=False), see docs/loihi2.md"
        findings += _differing("differ from SLAYER", trace, run(reset, frames), fix)
    return tuple(findings)


def _differing(rule: str, trace: Trace, other: Trace, fix: str) -> list[Finding]:
    found = []
    for name, messages in trace.spikes.items():
        count = int((messages != other.spikes[name]).sum())
        severity: Severity = "warning" if count else "ok"
        found.append(Finding(rule, name, count, 0, f"of {messages.size} messages", severity, fix if count else ""))
    return found


def headroom(trace: Trace, profile: Profile) -> list[Finding]:
    """How close the states of a run came to their limits; a wrapped or clipped state is an error.

    Args:
        trace: of a run on calibration data.
        profile: of the chip.
    """
    findings = []
    bits = int(str(profile.limit("state_bits")))
    for name, counts in trace.counts.items():
        assert isinstance(counts, LoihiCounts)
        for variable, peak in counts.peaks.items():
            share = f"{peak} ({100 * peak / 2 ** (bits - 1):.1f} %)"
            near: Severity = "warning" if peak > 2 ** (bits - 2) else "ok"
            text = "" if near == "ok" else "less than one bit is left: scale the layer down"
            findings.append(Finding(f"peak of {variable}", name, share, 2 ** (bits - 1), "", near, text))
        for word, value in (("wraps", counts.wraps), ("saturations", counts.saturations)):
            text = (
                ""
                if not value
                else "SLAYER never wraps nor clips: results differ; scale weights, bias and threshold down"
            )
            findings.append(Finding(word, name, value, 0, "updates", "error" if value else "ok", text))
    return findings
