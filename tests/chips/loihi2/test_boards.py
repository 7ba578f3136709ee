"""A network over the chips of a board, and the picture of where it lies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from i2e_deploy.chips.loihi2.checks.boards import board_findings
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, ConvSynapse, CubaLif
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.network import Conv2d, Flatten, LeakyIntegrateAndFire, Linear, chain
from i2e_deploy.network.file import write_network
from i2e_deploy.network.neurons import parameter
from i2e_deploy.reporting import placement_svg
from i2e_deploy.reporting.placement_picture import placed_layers

PROFILE = load_profile("loihi2")
ALL = np.array([4096])


def layers_in_a_row(count: int, channels: int, side: int) -> BlockNetwork:
    """Convolutions of 3x3 that keep their size."""
    blocks, source, before = [], SOURCE, channels
    for i in range(count):
        synapse = ConvSynapse(np.full((channels, before, 3, 3), 2), padding=(1, 1))
        blocks.append(Block(f"c{i}", CubaLif(ALL, ALL, 5), (channels, side, side), (Connection(source, synapse),)))
        source = f"c{i}"
    return BlockNetwork((channels, side, side), tuple(blocks))


def findings(network: BlockNetwork, board: str) -> dict[str, str]:
    """Value and fix by rule of what concerns the whole network."""
    found = board_findings(layers_of(network, "chip"), PROFILE, board)
    return {f.rule: f"{f.severity}: {f.value}; {f.fix}" for f in found if not f.layer}


def test_chips_are_counted_as_the_cores_say_and_what_crosses_is_named() -> None:
    """64 channels of 64 x 64: 262,144 neurons, 2,048 a core, so 128 cores a layer: by hand."""
    found = findings(layers_in_a_row(3, 64, 64), "kapoho point")
    assert found["chips of the board"].startswith("ok: 4 chips, 384 of 960 cores")
    assert found["between chips"].startswith("info: 2 of 2 connections, 3 of 3 layers on several chips")
    assert found["what fills the cores"].startswith("info: of 384: neurons 384; full to the brim they would be 193")
    small = findings(layers_in_a_row(2, 4, 8), "Oheo Gulch")
    assert small["chips of the board"].startswith("ok: 1 chips, 2 of 120 cores")
    assert "between chips" not in small


def test_what_does_not_fit_says_what_would() -> None:
    """Eight layers take 1,024 cores; at 7/8 of the side (56) a layer is 28 rows of 2 patches: the tool must find it."""
    network = layers_in_a_row(8, 64, 64)
    found = findings(network, "Kapoho Point")["chips of the board"]
    assert found.startswith("error: 9 chips, 1,024 of 960 cores; 64 cores too many: images of")
    assert "Hala Point" in found
    assert findings(network, "Hala Point")["chips of the board"].startswith("ok: 9 chips")
    with pytest.raises(InputError, match=r"board 'Pohoiki' is not in the profile .* Oheo Gulch, Kapoho Point, Hala"):
        board_findings(layers_of(network, "chip"), PROFILE, "Pohoiki")


def test_the_command_draws_every_core_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    lif = LeakyIntegrateAndFire(parameter(0.5), parameter(1.0), reset="value")
    network = chain((2, 64, 64), {
        "a": Conv2d(rng.normal(size=(16, 2, 3, 3)).astype(np.float32), padding=(1, 1)), "na": lif,
        "b<&>": Conv2d(rng.normal(size=(16, 16, 3, 3)).astype(np.float32), padding=(1, 1), stride=(4, 4)), "nb": lif,
        "f": Flatten(), "c": Linear(rng.normal(size=(5, 4096)).astype(np.float32)), "nc": lif,
    })  # fmt: skip
    path, picture = tmp_path / "n.safetensors", tmp_path / "p.svg"
    write_network(network, path)
    frames = tmp_path / "f.npy"
    np.save(frames, rng.integers(0, 2, (2, 3, 2, 64, 64)))
    arguments = ["check", str(path), "--chip", "loihi2", "--board", "Oheo Gulch", "--picture", str(picture), "--json"]
    assert run([*arguments, "--input", str(frames)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert any(f["rule"] == "chips of the board" and f["code"] == "LOI038" for f in report["findings"])
    layers = placed_layers(report["placement"])
    assert [layer.layer for layer in layers] == ["a", "b<&>", "c"]
    root = ET.fromstring(picture.read_text())
    panels = [path.get("d", "") for path in root.iter("{http://www.w3.org/2000/svg}path")]
    assert [d.count("z") for d in panels] == [layer.cores for layer in layers] * 3
    places = {place for d in panels for place in re.findall(r"M(\d+ \d+)", d)}
    assert len(places) == 3 * sum(layer.cores for layer in layers)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"  # else a page that shrinks it cuts it
    assert root.get("class") == "placement"  # by which the report leaves its ground dark, as its text is light there
    assert run([*arguments[:-2], str(tmp_path / "p.png")]) == 2
    assert run(["check", str(path), "--chip", "speck2f", "--board", "Oheo Gulch"]) == 2
    with pytest.raises(InputError, match="nothing to draw"):
        placement_svg([], 120)
