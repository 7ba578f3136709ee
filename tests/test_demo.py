"""The whole way on few digits, and the page it ends with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from i2e_deploy import bundle
from i2e_deploy.cli.app import run
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.datasets.picture import resize
from i2e_deploy.training import FitConfig, FrameSamples, GreyPictures, fit
from i2e_deploy.training.augment import Deformation, deform
from i2e_deploy.training.digit_data import digit_data


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    assert run(["demo", "--out", str(out), "--epochs", "1", "--train-size", "500", "--json"]) == 0
    return out


@pytest.mark.slow
def test_the_demo_learns_and_its_bundle_verifies(demo: Path) -> None:
    """One epoch on 500 digits: far from the full demo's accuracy; 15 % is five standard errors above chance."""
    written = bundle.read(demo / "bundle")
    evaluation = written.manifest["evaluation"]
    assert evaluation["chip"]["total"] == 1000
    assert evaluation["float_accuracy"] > 0.15
    assert abs(evaluation["chip"]["accuracy"] - evaluation["float_accuracy"]) < 0.1
    assert np.array(evaluation["chip"]["confusion"]).sum() == 1000
    assert len(set(np.asarray(written.golden.labels).tolist())) > 1
    assert bundle.verify(written).exact


@pytest.mark.slow
def test_the_demo_runs_again_over_its_own_output(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--out", str(demo), "--epochs", "1", "--train-size", "500", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"float_accuracy", "chip_accuracy", "event_rate", "seconds"} <= set(printed)
    assert printed["exact"] is True
    assert printed["event_rate"] == pytest.approx(0.0956, abs=0.002)


@pytest.mark.slow
def test_the_report_is_one_file_that_asks_nothing_of_the_network(demo: Path) -> None:
    page = (demo / "bundle" / "report.html").read_text()
    assert not re.search(r"<(script|link|iframe|img)\b", page)
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!#|data:image/png;base64,)", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert page.count("<svg") == 7
    for words in ("not run on a chip", "Does it fit?", "of 1000 right", "Synaptic", "sha256"):
        assert words.lower() in page.lower()


@pytest.mark.slow
def test_names_in_a_bundle_cannot_inject_markup(demo: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from i2e_deploy.reporting.html import write_report

    written = bundle.read(demo / "bundle")
    manifest = {**written.manifest, "notes": {"data": "<script>alert(1)</script>"}}
    page = write_report(replace(written, manifest=manifest), tmp_path / "r.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "change", [{"check": 3}, {"check": {}}, {"seeds": 3}, {"evaluation": 3}, {"evaluation": {"chip": {"accuracy": 1}}}]
)
@pytest.mark.slow
def test_a_manifest_without_what_a_report_needs_is_one_error(
    demo: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    from dataclasses import replace

    from i2e_deploy.errors import FileFormatError
    from i2e_deploy.reporting.html import write_report

    written = bundle.read(demo / "bundle")
    with pytest.raises(FileFormatError, match="does not hold what a report needs"):
        write_report(replace(written, manifest={**written.manifest, **change}), tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_training_repeats_with_its_seed() -> None:
    import torch

    from i2e_deploy.training.digits import build_digit_network

    digits = load_mnist5k()[0]
    images, labels = resize(digits.images[:20], 32), digits.labels[:20]
    frames = np.zeros((2, 8, 2, 32, 32), np.uint8)

    def once(seed: int) -> list[float]:
        network = build_digit_network(8, torch.Generator().manual_seed(0))
        data = digit_data(GreyPictures(images, labels), FrameSamples(frames, np.zeros(2, np.int64)))
        list(fit(network, data, FitConfig(epochs=1, batch_size=10, seed=seed)))
        return [float(weight.detach().double().sum()) for weight in network.parameters()]

    assert once(1) == once(1) != once(2)


def test_no_deformation_leaves_pictures_as_they_are() -> None:
    images = load_mnist5k()[0].images[:5]
    still = deform(images, Deformation(0, 0, 0, 0, 0), [np.random.default_rng(i) for i in range(5)])
    assert np.array_equal(still, images)
    moved = deform(images, Deformation(), [np.random.default_rng(i) for i in range(5)])
    assert not np.array_equal(moved, images)
    assert moved.mean() == pytest.approx(images.mean(), rel=0.3)
