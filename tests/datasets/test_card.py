"""The card in a network file and in a bundle: kept, read back, versioned, and absent from old files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Captured

from i2e_deploy import bundle
from i2e_deploy.chips import get, read_card, read_model, write_model
from i2e_deploy.cli.app import run
from i2e_deploy.datasets.card import Card, card_of
from i2e_deploy.errors import FileFormatError
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, chain

CARD = Card(
    ("cat", "dog", "ön"), (2, 8, 8), 8, 10_000, {"kind": "pictures", "size": 8, "s_th0": "3/25"}, {"how": "drawn"}
)


def small() -> Network:
    return chain(
        (2, 8, 8),
        {
            "conv": Conv2d(np.full((3, 2, 3, 3), 0.3, np.float32)),
            "neurons": IntegrateAndFire(1.0, -1.0),
            "flat": Flatten(),
            "last": Linear(np.full((3, 108), 0.2, np.float32)),
            "out": IntegrateAndFire(1.0, -1.0),
        },
    )


def test_a_file_keeps_its_card(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_model(small(), path, {"seed": "3"}, CARD)
    assert read_card(path) == CARD
    assert read_model(path).input_shape == (2, 8, 8)
    write_model(small(), path)
    assert read_card(path) is None


def test_export_takes_it_into_the_bundle(tmp_path: Path, capsys: Captured) -> None:
    write_model(small(), tmp_path / "a.safetensors", card=CARD)
    out = tmp_path / "bundle"
    assert run(["export", str(tmp_path / "a.safetensors"), "--chip", "speck2f", "--out", str(out)]) == 0
    written = bundle.read(out)
    assert (written.card, written.step_us) == (CARD, 10_000)
    again = tmp_path / "again"
    assert run(["export", str(out), "--chip", "speck2f", "--out", str(again)]) == 0
    assert bundle.read(again).card == CARD
    for model in (tmp_path / "a.safetensors", out):
        capsys.readouterr()
        assert run(["info", str(model), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["card"] == CARD.record()
        assert run(["info", str(model)]) == 0
        text = capsys.readouterr().out
        assert all(part in text for part in ("cat, dog, ön", "2x8x8", "8, of 10,000 us", "s_th0 3/25"))


def test_a_bundle_without_one(tmp_path: Path, capsys: Captured) -> None:
    frames = np.ones((1, 3, 2, 8, 8), np.uint8)
    written = bundle.write(tmp_path / "bundle", get("speck2f"), small(), frames)
    assert written.card is None
    assert run(["info", str(written.path)]) == 0
    assert "holds no card" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "its card has version 2: this program reads up to 1"),
        ({"version": "1"}, "its card is damaged"),
        ({"classes": ["a", "a"]}, "damaged"),
        ({"classes": [1]}, "damaged"),
        ({"classes": 3}, "damaged"),
        ({"steps": 0}, "damaged"),
        ({"steps": True}, "damaged"),
        ({"input_shape": [2, 8]}, "damaged"),
        ({"step_us": 0}, "damaged"),
        ({"step_us": 1.5}, "damaged"),
        ({"preprocessing": 5}, "damaged"),
    ],
)
def test_a_card_that_is_none_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(FileFormatError, match=f"^here: .*{text}"):
        card_of({**CARD.record(), **change}, "here")
    assert card_of(CARD.record(), "here") == CARD
    assert card_of(None, "here") is None
    with pytest.raises(FileFormatError, match="damaged"):
        card_of([], "here")
