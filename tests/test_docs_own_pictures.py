"""The tutorial of own pictures and ten recordings: its block and its commands, in order, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import Captured

from i2e_deploy.cli.app import run

PAGE = Path(__file__).parent.parent / "docs" / "tutorials" / "own_pictures.md"
#: Epochs of the two trainings here; the page has more.
EPOCHS = "2"


@pytest.mark.slow
def test_own_pictures_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    for package in ("PIL", "sinabs", "matplotlib", "jinja2"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(block, {})
    assert len(list(Path("camera/train").rglob("*.raw"))) == 10
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("i2e-deploy ")]
    commands = [re.sub(r"--epochs \d+", f"--epochs {EPOCHS}", line) for line in lines]
    assert sum("--epochs" in line for line in commands) == 2
    for line in commands:
        assert run(shlex.split(line)[1:]) == 0, line
    for name in ("pretrained/training.png", "tuned/training.png", "my_bundle/report.html"):
        assert Path(name).stat().st_size > 10_000
    page = Path("tuned.html").read_text()
    left = json.loads(Path("my_bundle/evaluation.json").read_text())["result"]
    assert left["classes"] == ["circle", "cross", "square", "star", "triangle"]
    for name in left["classes"]:
        assert name in page
