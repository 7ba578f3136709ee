"""Chips whose cores have different kinds of memory: every table has a column for each."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from networks import single_neuron
from rich.console import Console

from i2e_deploy import bundle
from i2e_deploy.chips import CheckReport, get
from i2e_deploy.chips.check import Slot
from i2e_deploy.chips.profile import Core
from i2e_deploy.cli.check_output import print_check
from i2e_deploy.cli.profiles import _print_profile
from i2e_deploy.reporting.html import write_report

SLOTS = (Slot("a", 0, {"rows": 1}, {"rows": 7}), Slot("b", 1, {"taps": 2, "rows": 0}, {"taps": 8, "rows": 0}))


def test_check_and_profiles() -> None:
    out = io.StringIO()
    print_check(CheckReport("any", ("a", "b"), (), SLOTS), Console(file=out, width=100))
    profile = replace(get("speck2f").profile, cores=(Core(0, {"rows": 7}), Core(1, {"taps": 8, "rows": 3})))
    _print_profile(profile, Console(file=out, width=100))
    rows = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "layer core rows taps" in rows
    assert "a 0 1 of 7" in rows
    assert "b 1 0 of 0 2 of 8" in rows
    assert "0 7 none" in rows
    assert "1 3 8" in rows


def test_many_cores_are_a_row_a_layer() -> None:
    slots = [Slot(name, core, {"rows": core}, {"rows": 90}) for core, name in enumerate("ab" * 25)]
    out = io.StringIO()
    print_check(CheckReport("any", ("a", "b"), (), tuple(slots)), Console(file=out, width=100))
    rows = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert rows[-2:] == ["a 25 cores, the fullest 48 of 90", "b 25 cores, the fullest 49 of 90"]


def test_report(tmp_path: Path) -> None:
    frames = np.ones((1, 2, 1, 1, 1), np.uint8)
    written = bundle.write(tmp_path / "b", get("speck2f"), single_neuron(1.0, 1.0), frames)
    placement = [{**asdict(slot), "layer": "conv"} for slot in SLOTS]
    manifest = {**written.manifest, "check": {**written.manifest["check"], "placement": placement}}
    page = " ".join(write_report(replace(written, manifest=manifest)).read_text(encoding="utf-8").split())
    assert "<th>rows</th><th>taps</th>" in page
    assert "0 of 0" in page
    assert "2 of 8" in page
