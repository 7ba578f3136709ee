"""Guides and tutorials as a reader walks them: blocks of Python and command lines, in the order of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from children import needs_lava
from pages import fill_desk, walk

from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the guides take for granted."""
    monkeypatch.chdir(tmp_path)
    fill_desk()
    return tmp_path


def test_event_order_guide(desk: Path) -> None:
    names = walk("guides/event_order.md")
    assert names["trace"].events


def test_hardware_in_the_loop_guide(desk: Path) -> None:
    with fake_samna():
        names = walk("guides/hardware_in_the_loop.md", aedat4="npz")
    assert [result.target for result in names["result"].results] == ["simulator", "board"]
    assert (desk / "job.zip").is_file()


@pytest.mark.slow
def test_calibrate_guide(desk: Path) -> None:
    with fake_samna():
        names = walk("guides/calibrate.md")
    assert names["program"].run(names["frames"]).output.any()
    assert (desk / "calibrated" / "report.html").is_file()


def test_large_data_guide(desk: Path) -> None:
    names = walk("guides/large_data.md")
    assert names["frames"].shape == (8, 2, 32, 32)


def test_import_guide(desk: Path) -> None:
    names = walk("guides/import.md")
    assert "compared with" in names["network"].notes[0].text


@needs_lava
@pytest.mark.slow
def test_slayer_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Golden vectors on our own simulator: Lava takes long, and other tests have it."""
    monkeypatch.chdir(tmp_path)
    names = walk("tutorials/slayer_to_loihi2.md", lava="simulator")
    assert np.array_equal(names["ours"], names["theirs"].numpy().transpose(0, 2, 1))
    assert names["ours"].any()
