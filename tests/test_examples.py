"""The examples run as they stand."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from children import needs_lava
from pictures import write_tree

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_deploy_sinabs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "deploy_sinabs.py"))["main"]
    main(tmp_path / "bundle")
    assert "golden vectors exact: " in capsys.readouterr().out


def test_fit_and_retrain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With 20 digits and one epoch: too large, changed, trained again, exported."""
    main = runpy.run_path(str(EXAMPLES / "fit_and_retrain.py"))["main"]
    main(tmp_path / "bundle", pictures=20, tests=10, epochs=1)
    said = capsys.readouterr().out
    assert "fits as trained: False" in said
    assert "2: use 32 output channels instead of 48 (needs retraining: check --apply)" in said
    assert "5: split it over two cores of 5 features each (no retraining: export --split)" in said
    assert "fits: True" in said
    assert "golden vectors exact: " in said
    assert (tmp_path / "bundle.safetensors").is_file()


def test_convert_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    write_tree(tmp_path / "photos", 4)
    main = runpy.run_path(str(EXAMPLES / "convert_photos.py"))["main"]
    main(tmp_path / "photos", tmp_path / "out")
    said = capsys.readouterr().out
    assert "4 photos, 0 broken, classes ['cat', 'dog']" in said
    assert "frames [8, 2, 128, 128], label 0" in said
    assert (tmp_path / "out" / "first.npy").exists()


@needs_lava
def test_deploy_slayer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With 40 pictures; SLAYER and the program agree exactly. Without Lava: the benchmark and other tests have it."""
    main = runpy.run_path(str(EXAMPLES / "deploy_slayer.py"))["main"]
    main(tmp_path / "out", pictures=40, epochs=1, lava=False)
    printed = capsys.readouterr().out
    assert "outputs that differ from SLAYER: 0 of" in printed
    assert "golden vectors exact: " in printed
    assert (tmp_path / "out" / "bundle" / "program.net").is_file()


def test_the_readme_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import re

    import numpy as np

    (code,) = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(), re.DOTALL)
    model = runpy.run_path(str(EXAMPLES / "deploy_sinabs.py"))["trained_network"]()
    frames = (np.random.default_rng(0).random((6, 8, 2, 32, 32)) < 0.1).astype(np.uint8)
    monkeypatch.chdir(tmp_path)
    names = {"model": model, "frames": frames}
    exec(code, names)
    assert (tmp_path / "my_bundle" / "manifest.json").is_file()
