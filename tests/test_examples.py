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


def test_boxes_on_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Boxes that are right score 1; a short training gives figures, exact golden vectors, and its own float run."""
    pytest.importorskip("pycocotools")
    import numpy as np
    import torch

    names = runpy.run_path(str(EXAMPLES / "boxes_on_events.py"))
    data = names["scenes"](24, seed=3)
    apart = np.abs(np.floor((data.boxes[..., :2] + data.boxes[..., 2:] / 2) / 8) @ [1, 10])  # numbers of their cells
    apart = (np.diff(apart, axis=2) != 0).all(axis=(1, 2)) | (data.classes[:, 1] < 0)
    data = names["Scenes"](data.frames[apart], data.boxes[apart], data.classes[apart])
    scores, boxes, _ = names["wanted"](data)
    right = torch.cat([20 * scores - 10, boxes], dim=2).numpy().astype(float)
    assert names["mean_average_precision"](names["detections"](right), data) == (1.0, 1.0)
    moved = right + 0.0
    moved[:, :, 2] += 0.75  # six pixels to the side
    assert names["mean_average_precision"](names["detections"](moved), data)[1] < 0.5

    found = names["main"](samples=48, tests=8, epochs=1, out=tmp_path / "bundle")
    said = capsys.readouterr().out
    assert "fits: True" in said
    assert "golden vectors exact: " in said
    assert 0 <= found.chip_map <= found.chip_map50 <= 1


def test_boxes_on_events_are_read_as_the_module_computes_them() -> None:
    """The float run of the network equals the module's own forward in every value of the readout, to float32."""
    import numpy as np
    import torch

    names = runpy.run_path(str(EXAMPLES / "boxes_on_events.py"))
    torch.manual_seed(1)
    net = names["Detector"]()
    frames = names["scenes"](6, seed=5).frames
    with torch.no_grad():
        own = net(torch.from_numpy(frames)).flatten(2).numpy()
    ours = net.network().run(frames, keep=()).output
    np.testing.assert_allclose(ours, own, rtol=0, atol=1e-4)
    assert np.abs(own).max() > 0.1


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
