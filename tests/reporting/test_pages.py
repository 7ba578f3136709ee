"""What stands on the pages: the network as a diagram, and how right each class is, first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import i2e_deploy as i2e
from i2e_deploy.bundle import leave_evaluation
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain
from i2e_deploy.reporting.diagram import network_diagram
from i2e_deploy.reporting.rightness import evaluated_cards, rightness
from i2e_deploy.text import LayerLine


def slot(layer: str, core: int, used: int) -> dict[str, Any]:
    return {"layer": layer, "core": core, "used": {"kernel": used, "bias": 1}, "available": {"kernel": 100, "bias": 10}}


def texts(svg: str) -> list[str]:
    """All texts of an SVG, which must be whole XML."""
    return [str(node.text or "") for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")]


def test_the_diagram_tells_layers_shapes_and_cores() -> None:
    layers = [LayerLine("a<b", "Conv 2->3 3x3", (3, 8, 8)), LayerLine("c", "Dense 192->4", (4,))]
    svg = network_diagram((2, 10, 10), layers, [slot("a<b", 3, 50), slot("c", 4, 1), slot("c", 6, 25)])
    assert texts(svg) == ["input", "event frames", "2x10x10", "", "a<b", "Conv 2->3 3x3", "3x8x8", "core 3",
                          "c", "Dense 192->4", "4", "2 cores, 4 to 6"]  # fmt: skip
    assert re.findall(r'class="fill"[^>]*width="([\d.]+)"', svg) == ["272.0", "136.0"]  # of 544: the fullest memory


def test_many_layers_are_folded() -> None:
    layers = [LayerLine(f"l{i}", "Conv", (1, 1, 1)) for i in range(300)]
    found = texts(network_diagram((2, 8, 8), layers, []))
    assert "260 more layers" in found
    assert {"l0", "l19", "l280", "l299"} <= set(found)
    assert "l20" not in found


def test_a_raster_shows_messages_below_zero() -> None:
    """Of a layer that sends values with a sign, every one is a mark; NumPy, asked for the root of one, would warn."""
    pytest.importorskip("matplotlib")
    from i2e_deploy.reporting.figures import BAR, BAR2, raster

    sent = np.zeros((5, 3, 2, 2), np.int32)
    sent[1, 0, 0, 0], sent[2, 1, 1, 1], sent[4, 2, 0, 1] = -3, 7, -4000
    drawn = raster({"values": sent, "spikes": np.abs(sent)})
    assert "12 of 12 neurons, orange: below 0" in drawn
    assert drawn.count("below 0") == 1
    marks = [drawn.count(f'stroke: {colour}"') + drawn.count(f"stroke: {colour};") for colour in (BAR, BAR2)]
    assert marks == [4, 2]


def evaluation(**rows: Any) -> dict[str, Any]:
    return {"samples": 10, "classes": ["cat", "dog"], "targets": rows}


def test_each_class_has_its_share_and_equal_targets_are_told_once() -> None:
    row = {"accuracy": 0.6, "interval95": [0.3, 0.8], "confusion": [[3, 1], [3, 3]]}
    found = rightness(evaluation(simulator=row, reference=row, float={**row, "confusion": [[4, 0], [0, 0]]}))
    assert [each["target"] for each in found] == ["simulator, reference", "float"]
    assert [each["text"] for each in found[0]["classes"]] == ["75.0 %", "50.0 %"]
    assert found[0]["classes"][1]["taken"] == "cat 3"
    assert found[1]["classes"][1]["text"] == "no sample"
    assert evaluated_cards(evaluation(simulator=row, reference=row, float=row)) == [
        ("60.0 %", "accuracy on simulator", "95 % interval 30.0 to 80.0 %, 10 samples"),
        ("60.0 %", "accuracy on float", "95 % interval 30.0 to 80.0 %, 10 samples"),
    ]


def test_of_many_classes_the_worst_are_listed() -> None:
    matrix = np.diag(np.arange(1, 31)).tolist()
    matrix[7] = [0] * 30
    matrix[7][3], matrix[7][7] = 3, 1
    (found,) = rightness({"targets": {"simulator": {"confusion": matrix}}})
    assert found["matrix"] is None
    assert found["worst"][0] == {"name": "7", "share": 0.25, "text": "25.0 %", "taken": "3 3"}


def test_they_stand_on_the_first_screen_of_the_report(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 4, 4)).astype(np.float32)
    network = chain((2, 4, 4), {"conv": Conv2d(weight), "n": IntegrateAndFire(1.0, -1.0)})
    frames = (np.random.default_rng(1).random((6, 5, 2, 4, 4)) < 0.4).astype(np.uint8)
    bundle = i2e.bundle.write(tmp_path / "b", i2e.chips.get("speck2f"), network, frames)
    result = i2e.runtime.evaluate(bundle.program, frames, np.arange(6) % 3)
    leave_evaluation(bundle, result.to_dict(), "<frames>", "timestep")
    page = i2e.reporting.write_report(bundle).read_text()
    order = ["accuracy on simulator", "golden vectors", "How right each class is", 'class="diagram"', "Does it fit?"]
    assert sorted(order, key=page.index) == order
    assert "6 samples of &lt;frames&gt;" in page
    assert page.count('<table class="confusion">') == 1
