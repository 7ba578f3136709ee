"""What a run on calibration data shows: how close states come to their limits, which messages differ elsewhere."""

from __future__ import annotations

from i2e_deploy.chips.check import Finding, Severity
from i2e_deploy.chips.loihi2.engine.run import run
from i2e_deploy.chips.loihi2.program import SOURCE, BlockNetwork, CubaLif
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts
from i2e_deploy.chips.loihi2.relay import Programmable
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
    findings = [*headroom(trace, profile), *beyond_bits(network, frames, trace)]
    lacks = any(isinstance(block.neuron, Programmable) for block in network.blocks)
    try:
        on_lava = run(network, frames, "lava")
    except UnsupportedError as error:
        fix = "no export changes that: the simulator is the only judge" if lacks else "`export` corrects it"
        findings.append(Finding("differ on Lava", "", str(error), "equal", "", "warning", fix))
    else:
        findings += _differing(
            "differ on Lava", trace, on_lava, "netx and Lava change its numbers; `export` corrects them"
        )
    blocks = network.blocks
    late = [block for block in blocks if isinstance(block.neuron, CubaLif) and block.bias is not None]
    direct = any(connection.synapse is None for block in blocks for connection in block.connections)
    if late and not direct and not lacks and all(block.neuron.reset is None for block in blocks):
        reset = network.with_reset(max(frames.shape[1] + 1, 3), 1, staggered=False)
        fix = "SLAYER's bias starts a step later: with_reset(T, 1, staggered=False), see docs/loihi2.md"
        findings += _differing("differ from SLAYER", trace, run(reset, frames), fix)
    return tuple(findings)


def beyond_bits(network: BlockNetwork, frames: Integers, trace: Trace) -> list[Finding]:
    """Frames and messages that hold more than what is declared of them."""
    findings, fix = [], "read with input_message_bits, as SLAYER multiplies by the value"
    if not network.input_message_bits:
        many = int((frames > 1).sum())
        findings.append(
            Finding("values above 1", SOURCE, many, 0, f"of {frames.size} values, each taken as one spike",
                    "warning" if many else "ok", fix if many else "")
        )  # fmt: skip
    sent = {SOURCE: frames, **trace.spikes}
    declared = {SOURCE: network.input_message_bits, **{block.name: block.message_bits for block in network.blocks}}
    for name, bits in declared.items():
        if 0 < bits < 32:
            beyond = int(((sent[name] < -(2 ** (bits - 1))) | (sent[name] >= 2 ** (bits - 1))).sum())
            text = "Lava sends them whole, a chip may not: scale weights and thresholds down" if beyond else ""
            findings.append(
                Finding("beyond message bits", name, beyond, 0, f"of {sent[name].size} messages of {bits} bits",
                        "warning" if beyond else "ok", text)
            )  # fmt: skip
    return findings


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
                else "SLAYER and float networks never wrap nor clip: results differ; scale the layer down"
            )
            findings.append(Finding(word, name, value, 0, "updates", "error" if value else "ok", text))
    return findings
