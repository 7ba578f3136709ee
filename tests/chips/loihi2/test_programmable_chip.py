"""Programmable neurons on the chip: what check, costs, bundles and the ways to Lava say of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from i2e_deploy import bundle
from i2e_deploy.chips import Deciding, get
from i2e_deploy.chips.check import Finding
from i2e_deploy.chips.loihi2 import write_netx
from i2e_deploy.chips.loihi2.checks.rules import RULES
from i2e_deploy.chips.loihi2.formats.netx_export import export_netx
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import UnsupportedError

PROFILE = load_profile("loihi2")
ALL, NONE = np.array([4096]), np.array([0])
SEVERAL = ProgrammableLif(ALL, np.array([100]), np.array([40, 60]), max_spikes=3, fires=">=")


def network(neuron: ProgrammableLif = SEVERAL, bits: int = 24) -> BlockNetwork:
    """A standard layer whose weights Lava would change, then a programmable one."""
    first = DenseSynapse(np.full((3, 4), -64))
    first.weight[0] = 90
    second = DenseSynapse(2 * np.arange(20, 26).reshape(2, 3))
    standard = Block("a", CubaLif(ALL, np.array([400]), 20), (3,), (Connection(SOURCE, first),))
    return BlockNetwork((4,), (standard, Block("b", neuron, (2,), (Connection("a", second),), message_bits=bits)))


def findings(of: BlockNetwork, profile: Any = PROFILE) -> dict[str, Finding]:
    return {f.rule: f for rule in RULES for f in rule(of, of.blocks[-1], profile)}


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ({}, "reset by subtraction"),
        ({"after_spike": "none"}, "no reset"),
        ({"after_spike": "set", "reset_value": np.array([-2])}, "reset to a value"),
        ({"after_spike": "amount", "reset_value": np.array([2])}, "reset by an amount"),
        ({"reset_step": "next"}, "reset in the next step"),
        ({"max_spikes": 4}, "up to 4 spikes a step"),
        ({"max_spikes": "any"}, "any number of spikes a step"),
        ({"fires": ">="}, "fires at the threshold"),
        ({"adaptation_step": np.array([3])}, "adaptive threshold"),
        ({"threshold": np.array([3, 4])}, "several thresholds"),
        ({"lowest": np.array([-4])}, "lower bound of the voltage"),
        ({"sends": "voltage"}, "sends its voltage in every step"),
    ],
)
def test_check_says_what_needs_a_program_and_how_well_that_is_known(options: dict[str, Any], needs: str) -> None:
    neuron = replace(ProgrammableLif(ALL, ALL, np.array([9])), **options)
    found = findings(network(neuron))["programmable neuron"]
    assert needs in str(found.value)
    assert found.severity == "warning"
    assert "nobody has published or run on silicon" in found.fix
    assert "no fixed_pt model of Lava" in found.fix
    assert found.source == PROFILE.limit("programmable_neurons").source


def test_check_says_where_the_standard_neuron_would_do_and_where_a_chip_has_none() -> None:
    plain = findings(network(ProgrammableLif(ALL, ALL, np.array([9]), "set")))["programmable neuron"]
    assert (plain.value, plain.severity) == ("as the standard neuron", "warning")
    assert plain.fix == "CubaLif computes the same and needs no program: use it"
    none = replace(PROFILE.limit("programmable_neurons"), value=0)
    older = replace(PROFILE, limits={**PROFILE.limits, "programmable_neurons": none})
    found = findings(network(), older)["programmable neuron"]
    assert (found.severity, found.fix) == ("error", "this chip has no programmable neurons: use CubaLif")
    report = get("loihi2").check(network())
    assert [f.layer for f in report.findings if f.rule == "programmable neuron"] == ["b"]


def test_words_and_messages_are_checked() -> None:
    over = findings(network(replace(SEVERAL, threshold=np.array([5, 2**17]))))["threshold"]
    assert (over.value, over.severity) == (2**17, "warning")
    assert findings(network(replace(SEVERAL, voltage_decay=ALL)))["voltage decay"].value == 4096
    narrow = findings(network(replace(SEVERAL, max_spikes=8), bits=4))["most spikes"]
    assert (narrow.value, narrow.limit, narrow.severity) == (8, 7, "error")
    assert "most spikes" not in findings(network(replace(SEVERAL, max_spikes=7), bits=4))


def test_a_voltage_that_is_counted_is_doubted() -> None:
    readout = network(replace(SEVERAL, sends="voltage"))
    found = findings(readout)["readout"]
    assert found.severity == "warning"
    assert "--readout-kind mean" in found.fix
    assert findings(readout.decided_by(Deciding("mean")))["readout"].severity == "info"
    assert "readout" not in findings(network())
    frames = np.ones((1, 8, 4), np.int64)
    trace = LoihiProgram(readout.decided_by(Deciding("mean"))).run(frames)
    np.testing.assert_array_equal(trace.scores(), trace.output.astype(np.int64).sum(1))


def test_no_finding_speaks_of_weights_on_lava_that_lava_cannot_run() -> None:
    standard = replace(network(), blocks=network().blocks[:1])
    report = get("loihi2").check(standard)
    assert "Lava weights" in {f.rule for f in report.findings}
    assert "Lava weights" not in {f.rule for f in get("loihi2").check(network()).findings}


def test_no_net_file_and_no_lava(tmp_path: Path) -> None:
    """Refused before anything else, with the layer, what it does and the way out; also where Lava is not installed."""
    program, frames = LoihiProgram(network()), np.ones((1, 3, 4), np.int64)
    text = (
        r"programmable neurons \(layer 'b': reset by subtraction, up to 3 spikes a step, fires at the threshold, "
        r"several thresholds\): no .net file holds them .* targets simulator or reference, or use CubaLif"
    )
    for write in (write_netx, export_netx):
        with pytest.raises(UnsupportedError, match=text):
            write(network(), tmp_path / "b.net")
    assert list(tmp_path.iterdir()) == []
    for target in ("lava", "board"):
        with pytest.raises(UnsupportedError, match=text):
            program.run_on(target, frames)
    for engine in ("fast", "reference"):
        with pytest.raises(UnsupportedError, match=r"layer .b.: no fixed_pt model of Lava 0\.10 computes"):
            program.run(frames, "lava", engine)


def test_calibration_says_that_no_export_helps() -> None:
    frames = np.ones((2, 8, 4), np.int64)
    found = get("loihi2").findings_on(network(), frames)  # type: ignore[attr-defined]
    on_lava = next(f for f in found if f.rule == "differ on Lava")
    assert (on_lava.severity, on_lava.fix) == ("warning", "no export changes that: the simulator is the only judge")
    assert {f.layer for f in found if f.rule == "peak of adaptation"} == {"b"}
    wide = next(f for f in found if f.rule == "beyond message bits")
    assert (wide.layer, wide.value) == ("b", 0)


def test_costs_say_what_is_not_known_of_programs() -> None:
    chip, frames = get("loihi2"), np.ones((2, 8, 4), np.int64)
    found = chip.costs(chip.lower(network()), frames)
    assert found is not None
    assert [text for text in found.unknown if "programmable" in text] == [
        "what an update of a programmable neuron costs: no public figure says, it is counted as a standard neuron's "
        "(layers b)"
    ]
    standard = chip.costs(chip.lower(replace(network(), blocks=network().blocks[:1])), frames)
    assert standard is not None
    assert not any("programmable" in text for text in standard.unknown)


def test_a_bundle_holds_the_program_without_a_net_file(tmp_path: Path) -> None:
    """Agreement: exact, what the bundle was written with and what it runs."""
    frames = np.random.default_rng(0).integers(0, 2, (2, 8, 4))
    written = bundle.write(tmp_path / "b", get("loihi2"), network(), frames)
    assert not list((tmp_path / "b").glob("**/*.net"))
    read = bundle.read(tmp_path / "b")
    assert bundle.verify(read).exact
    np.testing.assert_array_equal(read.program.run(frames).output, LoihiProgram(network()).run(frames).output)
    assert written.program.run(frames).output.any()
