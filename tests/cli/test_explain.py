"""`explain`, and the forms in which a check is told."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import Captured, refused

from i2e_deploy.chips import AnyNetwork, get, write_model
from i2e_deploy.chips.rules import Rule
from i2e_deploy.cli.app import run
from i2e_deploy.cli.explain import _is_meant
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain


@pytest.fixture
def unfit(tmp_path: Path) -> Path:
    """A network with a kernel that is too large for Speck."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(2, 2, 17, 17)).astype(np.float32)
    network = chain((2, 32, 32), {"wide, 100%": Conv2d(weight), "fire": IntegrateAndFire(1.0, -1.0)})
    write_model(network, tmp_path / "unfit.safetensors", {})
    return tmp_path / "unfit.safetensors"


def test_every_rule_is_explained_by_code_and_by_name(capsys: Captured) -> None:
    assert run(["explain", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len({row["code"] for row in rows}) > 60
    assert all(_is_meant(Rule(**{k: row[k] for k in ("code", "names", "text", "mend")}), row["code"]) for row in rows)
    for asked, code in (("NET001", "NET001"), ("spk010", "SPK010"), ("peak of u", "LOI035"), ("kernel size", "SPK004")):
        assert run(["explain", asked]) == 0
        assert code in capsys.readouterr().out
    assert run(["explain", "SPK004"]) == 0
    said = capsys.readouterr().out
    assert "speck2f: 16 pixels, documented" in said.replace("\n", " ")


def test_a_rule_that_is_not_there(capsys: Captured) -> None:
    assert "did you mean 'kernel size'" in refused(capsys, "explain", "kernal size")


def test_the_verdict_comes_first_and_what_passes_on_demand(unfit: Path, capsys: Captured) -> None:
    assert run(["check", str(unfit), "--chip", "speck2f"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("does not fit speck2f: ")
    assert said.splitlines()[1].startswith("error SPK")
    assert "error SPK004 layer 'wide, 100%': kernel size is 17, limit 16 pixels" in said
    assert "stride vertical" not in said
    assert "--verbose shows all" in said
    assert run(["check", str(unfit), "--chip", "speck2f", "--verbose"]) == 1
    assert "stride vertical" in capsys.readouterr().out


def test_findings_have_codes_in_json(unfit: Path, capsys: Captured) -> None:
    assert run(["check", str(unfit), "--chip", "speck2f", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert all(finding["code"] for finding in findings)


def test_annotations_of_github(unfit: Path, capsys: Captured) -> None:
    assert run(["check", str(unfit), "--chip", "speck2f", "--output-format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    report = get("speck2f").check(_network(unfit))
    told = [f for f in report.findings if f.severity in ("error", "warning") or (f.severity == "info" and not f.layer)]
    assert len(lines) == len(told)
    (line,) = [line for line in lines if "SPK004" in line]
    assert line.startswith("::error file=")
    assert "wide, 100%25" in line.rpartition("::")[2]


def test_a_check_as_junit(unfit: Path, capsys: Captured) -> None:
    assert run(["check", str(unfit), "--chip", "speck2f", "--chip", "loihi2", "--output-format", "junit"]) == 1
    suites = ElementTree.fromstring(capsys.readouterr().out.encode())
    report = get("speck2f").check(_network(unfit))
    first, second = suites
    assert (first.get("name"), second.get("name")) == ("speck2f", "loihi2")
    assert int(first.get("tests", "")) == len(report.findings) == len(first)
    assert int(first.get("failures", "")) == len(report.errors) == len(first.findall("testcase/failure"))


def test_no_other_form(unfit: Path, capsys: Captured) -> None:
    assert "choose one of text, json, github, junit" in refused(
        capsys, "check", unfit, "--chip", "speck2f", "--output-format", "xml"
    )


def _network(path: Path) -> AnyNetwork:
    from i2e_deploy.chips import read_model

    return read_model(path)
