"""`evaluate` goes by the names of classes in the model's card, and not by the order of folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured
from pictures import picture_bytes

from i2e_deploy.chips import write_model
from i2e_deploy.cli.app import run
from i2e_deploy.conversion import i2e_reference
from i2e_deploy.datasets.card import Card
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.errors import FileFormatError
from i2e_deploy.events import EVENT_DTYPE, write
from i2e_deploy.network import Flatten, IntegrateAndFire, Linear, chain
from i2e_deploy.runtime.eval_named import read_named

CLASSES = ("east", "north", "south", "west")
#: Where on 8 x 8 pixels the events of a class are: rows, columns.
PLACES = {"east": (3, 7), "north": (0, 3), "south": (7, 3), "west": (3, 0)}


def compass(path: Path, card: bool | Card, classes: tuple[str, ...] = CLASSES, steps: int = 4) -> Path:
    """A network whose output n fires for events at the place of class n."""
    weight = np.zeros((len(classes), 2, 8, 8), np.float32)
    for number, name in enumerate(classes):
        weight[(number, slice(None), *PLACES[name])] = 1
    layers = {"flat": Flatten(), "last": Linear(weight.reshape(len(classes), -1)), "out": IntegrateAndFire(1.0, -1.0)}
    if card is True:
        card = Card(classes, (2, 8, 8), steps, 100)
    write_model(chain((2, 8, 8), layers), path, card=card or None)
    return path


def recordings(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(3):
            events = np.zeros(20, EVENT_DTYPE)
            events["t"], (events["y"], events["x"]) = 40 * np.arange(20), PLACES.get(name, (1, 1))
            write(root / name / f"{index}.npz", events, (8, 8))
    return root


def evaluated(capsys: Captured, *arguments: object) -> tuple[int, dict[str, object], str]:
    capsys.readouterr()
    code = run(["evaluate", *map(str, arguments), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


def test_two_of_four_classes_are_judged_by_their_names(tmp_path: Path, capsys: Captured) -> None:
    data = recordings(tmp_path / "data", "south", "west")
    named, nameless = (compass(tmp_path / f"{card}.safetensors", card) for card in (True, False))
    code, found, _ = evaluated(capsys, named, data)
    assert code == 0
    assert found["targets"]["simulator"]["accuracy"] == 1  # type: ignore[index]
    assert (found["samples"], found["classes"]) == (6, list(CLASSES))
    code, found, said = evaluated(capsys, nameless, data)
    assert found["targets"]["simulator"]["accuracy"] == 0  # type: ignore[index]
    assert "the model names no classes: its outputs are taken for the folders in the order of their names" in said


def test_names_stand_in_the_order_of_the_training(tmp_path: Path, capsys: Captured) -> None:
    data = recordings(tmp_path / "data", *CLASSES)
    model = compass(tmp_path / "a.safetensors", True, ("west", "south", "north", "east"))
    code, found, _ = evaluated(capsys, model, data, "--semantics", "event")
    assert code == 0
    assert found["targets"]["simulator"]["accuracy"] == 1  # type: ignore[index]


def test_unknown_names_are_refused_with_both_lists(tmp_path: Path, capsys: Captured) -> None:
    data = recordings(tmp_path / "data", "south", "up", "down")
    code, found, _ = evaluated(capsys, compass(tmp_path / "a.safetensors", True), data)
    assert code == 2
    text = "classes that the model does not name: down, up; it names east, north, south, west"
    assert text in str(found["error"])


def test_the_test_part_is_taken(tmp_path: Path, capsys: Captured) -> None:
    recordings(tmp_path / "data" / "train", *CLASSES)
    data = recordings(tmp_path / "data" / "test", "west").parent
    code, found, said = evaluated(capsys, compass(tmp_path / "a.safetensors", True), data, "--limit", "2")
    assert (code, found["samples"]) == (0, 2)
    assert found["targets"]["simulator"]["accuracy"] == 1  # type: ignore[index]
    assert "the part 'test' is taken, of test, train" in said


def test_pictures_and_shards_become_what_the_card_says(tmp_path: Path, capsys: Captured) -> None:
    pytest.importorskip("PIL")
    for index, name in enumerate(CLASSES):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.png").write_bytes(picture_bytes(index))
    card = Card(
        CLASSES[::-1], (2, 8, 8), 4, 500, {"kind": "pictures", "s_th0": "1/10", "fit": "squash", "binary": False}
    )
    samples = read_named(tmp_path / "data", (2, 8, 8), card)
    for frames, label in zip(samples.frames, samples.labels, strict=True):  # type: ignore[arg-type]
        file = tmp_path / "data" / card.classes[label] / "a.png"
        pixels = decode_picture(file.read_bytes(), Resize(8, "squash")).transpose(2, 0, 1)
        np.testing.assert_array_equal(frames, i2e_reference(pixels[None], "1/10")[0, :4])
    model = compass(tmp_path / "a.safetensors", False)
    code, found, said = evaluated(capsys, model, tmp_path / "data")
    assert (code, found["samples"]) == (0, 4)
    assert "output 0 is taken for east, north, south, west, in this order" in said
    pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    convert_dataset(tmp_path / "data", tmp_path / "shards", Settings("1/10", Resize(8, "squash"), steps=4))
    shards = read_named(tmp_path / "shards", (2, 8, 8), card)
    np.testing.assert_array_equal(shards.frames, samples.frames)
    np.testing.assert_array_equal(shards.labels, samples.labels)  # type: ignore[arg-type]


def test_options_of_recordings_are_refused_for_pictures(tmp_path: Path, capsys: Captured) -> None:
    pytest.importorskip("PIL")
    (tmp_path / "data" / "east").mkdir(parents=True)
    (tmp_path / "data" / "east" / "a.png").write_bytes(picture_bytes(0))
    model = compass(tmp_path / "a.safetensors", True)
    code, found, _ = evaluated(capsys, model, tmp_path / "data", "--sensor-size", "8x8")
    assert code == 2
    assert "--sensor-size is for recordings" in str(found["error"])


def frames_file(path: Path, **more: object) -> Path:
    """Frames with events at the places of east, west, west, south; the last two are the test part where it is given."""
    frames = np.zeros((4, 4, 2, 8, 8), np.uint8)
    for sample, name in zip(frames, ("east", "west", "west", "south"), strict=True):
        sample[(slice(None), slice(None), *PLACES[name])] = 1
    np.savez(path, frames=frames, **more)  # type: ignore[arg-type]
    return path


def test_frames_are_judged_by_the_names_in_their_file(tmp_path: Path, capsys: Captured) -> None:
    named, nameless = (compass(tmp_path / f"{card}.safetensors", card) for card in (True, False))
    own = {"labels": np.array([1, 0, 0, 2]), "classes": np.array(["west", "east", "south"])}
    file = frames_file(tmp_path / "a.npz", **own)
    code, found, _ = evaluated(capsys, named, file)
    assert (code, found["targets"]["simulator"]["accuracy"]) == (0, 1)  # type: ignore[index]
    numbers = frames_file(tmp_path / "b.npz", labels=np.array([0, 3, 3, 2]))
    code, found, _ = evaluated(capsys, named, numbers)
    assert (code, found["targets"]["simulator"]["accuracy"]) == (0, 1)  # type: ignore[index]
    code, found, said = evaluated(capsys, nameless, file)
    assert (code, found["targets"]["simulator"]["accuracy"]) == (0, 0.25)  # type: ignore[index]
    assert "the model names no classes: output 0 is taken for west, east, south, in this order" in said
    own["classes"] = np.array(["west", "east", "up"])
    code, found, _ = evaluated(capsys, named, frames_file(tmp_path / "c.npz", **own))
    assert code == 2
    assert "classes that the model does not name: up; it names east, north, south, west" in str(found["error"])


def test_of_frames_with_parts_the_test_part_is_taken(tmp_path: Path, capsys: Captured) -> None:
    split, model = np.array(["train", "train", "test", "test"]), compass(tmp_path / "a.safetensors", True)
    file = frames_file(tmp_path / "a.npz", labels=np.array([1, 1, 3, 2]), split=split, step_us=np.array(500))
    code, found, said = evaluated(capsys, model, file)
    assert (code, found["samples"], found["targets"]["simulator"]["accuracy"]) == (0, 2, 1)  # type: ignore[index]
    assert "the part 'test' is taken, of test, train" in said
    samples = read_named(frames_file(tmp_path / "b.npz", values=np.arange(4.0), split=split), (2, 8, 8), None)
    np.testing.assert_array_equal(samples.labels, [[2.0], [3.0]])  # type: ignore[arg-type]


def test_values_as_train_takes_them_are_the_targets_of_an_evaluation(tmp_path: Path) -> None:
    from i2e_deploy.runtime.eval_data import read_samples

    for name in ("values", "targets"):
        samples = read_samples(frames_file(tmp_path / f"{name}.npz", **{name: np.arange(4.0)}), (2, 8, 8), 4)
        np.testing.assert_array_equal(samples.labels, np.arange(4.0)[:, None])  # type: ignore[arg-type]
    both = frames_file(tmp_path / "both.npz", values=np.arange(4.0), targets=np.arange(4.0))
    with pytest.raises(FileFormatError, match=r"has `values` float64 \[4\] beside `targets`"):
        read_samples(both, (2, 8, 8), 4)


def test_how_right_each_class_is_stands_with_its_name_in_the_terminal_and_the_page(
    tmp_path: Path, capsys: Captured
) -> None:
    pytest.importorskip("jinja2")
    data = recordings(tmp_path / "data", "south", "west")
    model = compass(tmp_path / "a.safetensors", True, ("west", "east", "north", "south"))
    capsys.readouterr()
    assert run(["evaluate", str(model), str(data), "--html", str(tmp_path / "page.html")]) == 0
    assert "simulator, right by class: west 100.0 %, south 100.0 %" in " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "page.html").read_text()
    for name in CLASSES:
        assert f"<th>{name}</th>" in page


def test_live_says_the_names_of_the_classes(tmp_path: Path, capsys: Captured) -> None:
    file = recordings(tmp_path / "data", "south") / "south" / "0.npz"
    model = compass(tmp_path / "a.safetensors", True, ("west", "east", "north", "south"))
    command = ["live", str(model), "--source", file.as_uri(), "--window", "0.4", "--steps", "4"]
    capsys.readouterr()
    assert run([*command, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["class"] for line in told if "class" in line] == ["south"]
    assert run(command) == 0
    assert "decision south" in capsys.readouterr().out
    nameless = compass(tmp_path / "b.safetensors", False)
    assert run(["live", str(nameless), *command[2:], "--json"]) == 0
    assert '"class"' not in capsys.readouterr().out


def test_live_says_where_steps_are_longer_than_those_of_the_training(tmp_path: Path, capsys: Captured) -> None:
    file = recordings(tmp_path / "data", "south") / "south" / "0.npz"
    card = Card(CLASSES, (2, 8, 8), 4, 100, {"kind": "recordings"})
    model = compass(tmp_path / "a.safetensors", card)
    for window, said in (("0.8", True), ("0.4", False)):
        capsys.readouterr()
        assert run(["live", str(model), "--source", file.as_uri(), "--window", window, "--steps", "4"]) == 0
        text = "a step is 0.2 ms here, and was 0.1 ms in the training: --window 0.4 --steps 4 gives such steps"
        assert (text in " ".join(capsys.readouterr().err.split())) == said
