"""`compare --record`: what a real chip gave beside ours; without the records, which are others', what is needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from public_data import public, record

from i2e_deploy.chips import get
from i2e_deploy.chips.recorded import Recorded
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError
from i2e_deploy.runtime import beside_chip, replay_record

Captured = pytest.CaptureFixture[str]


def folders() -> list[str]:
    return [
        "--records", str(record("speck2f_nmnist/speck_activity.npy").parents[1]),
        "--data", str(public("nmnist_small/test/0/60004.bin").parents[3]),
    ]  # fmt: skip


def told(capsys: Captured, *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert run(["compare", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_the_first_layer_neuron_by_neuron(tmp_path: Path, capsys: Captured) -> None:
    """The figures of the profile, which `tests/chips/dynapcnn/test_records.py` holds against the record itself."""
    pytest.importorskip("nir")
    picture = tmp_path / "p.png"
    found = told(capsys, "--record", "first-layer", *folders(), "--picture", str(picture))
    rows = found["rows"]
    assert isinstance(rows, list)
    assert (len(rows), found["values"], found["semantics"]) == (10, 40_960, "event")
    figure = next(each.figure for each in get("speck2f").profile.records if each.id == "first-layer")
    chip, ours = (sum(row[side] for row in rows) for side in ("chip", "ours"))
    assert f"chip {chip:,} spikes, `event` {ours:,}" in figure
    assert f"counts of {found['differing']:,} of {found['values']:,} neurons differ" in figure
    assert rows[1]["differing"] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    steps = told(capsys, "--record", "first-layer", *folders(), "--semantics", "timestep")
    assert isinstance(steps["differing"], int)
    assert steps["differing"] > 2 * int(str(found["differing"]))


def test_a_row_is_the_comparison_of_python(capsys: Captured) -> None:
    pytest.importorskip("nir")
    records, data = (Path(folders()[i]) for i in (1, 3))
    replay = replay_record("first-layer", records, data)
    for row in replay.rows[:3]:
        found = beside_chip(row.ours, row.chip)
        assert (found.differing, found.spikes_apart, found.largest) == (row.differing, row.apart, row.largest)
    assert len(replay.drawn) == 10
    assert "first-layer on speck2f" in repr(replay)


def test_four_layers_and_the_table(capsys: Captured) -> None:
    assert run(["compare", "--record", "four-layers", *folders()]) == 0
    out = capsys.readouterr().out
    for chip, ours in ((31_831, 31_828), (12_906, 12_920), (633, 633), (38, 40)):
        assert any(f"{chip:,}" in line and f"{ours:,}" in line for line in out.splitlines())
    assert "wzqvip/Sinabs-Speck-Dev-kit" in out
    assert run(["compare", "--record", "four-layers", *folders(), "--picture", "p.png"]) == 2
    assert "no counts of neurons to draw" in capsys.readouterr().err
    assert not Path("p.png").exists()


def test_a_leak_needs_no_files(capsys: Captured) -> None:
    found = told(capsys, "--record", "leak")
    assert (found["values"], found["differing"]) == (10, 0)


def test_the_neuron_of_loihi(capsys: Captured) -> None:
    found = told(capsys, "--record", "lif-neuron", *folders())
    rows = found["rows"]
    assert isinstance(rows, list)
    spikes, voltage = rows
    assert (spikes["differing"], spikes["chip"], voltage["differing"], voltage["values"]) == (0, 4, 4, 1000)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--record", "first-layer"], "name the folder of the records"),
        (["--record", "first-layer", "--records", "."], "has no speck2f_nmnist/speck_activity.npy"),
        (["--record", "decisions"], "numbers alone, which benchmarks/silicon.py holds"),
        (["--record", "nothing"], "is no record of any chip; these can be run again: first-layer"),
        (["--record", "first-layer", "--chip", "loihi2"], "is no record of loihi2; these can be run again: lif-neuron"),
        (["--record", "leak", "--chip", "none"], "none"),
        (["--record", "leak", "--semantics", "other"], "semantics 'other'"),
        (["--record", "leak", "a.npz", "b.npz"], "leave the traces out"),
        ([], "give two traces"),
        (["a.npz"], "give two traces"),
        (["a.npz", "b.npz", "--picture", "p.png"], "are of --record"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], error: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("I2E_DEPLOY_RECORDS", raising=False)
    monkeypatch.delenv("I2E_DEPLOY_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(["compare", *arguments]) == 2
    said = capsys.readouterr().err
    assert error in said
    assert said.count("\n") == 1


def test_recordings_are_found_as_n_mnist_names_them(tmp_path: Path) -> None:
    records = Path(folders()[1])
    with pytest.raises(InputError, match=r"N-MNIST test recording 4 of class 0 is needed, 0/00004.bin or 0/60004.bin"):
        replay_record("four-layers", records, tmp_path)
    (tmp_path / "Test" / "0").mkdir(parents=True)
    shutil.copy(public("nmnist_small/test/0/60004.bin"), tmp_path / "Test" / "0" / "00004.bin")
    assert [int(row.chip[0]) for row in replay_record("four-layers", records, tmp_path).rows][2:] == [633, 38]


def test_files_that_are_not_of_the_record_are_refused(tmp_path: Path) -> None:
    from i2e_deploy.errors import FileFormatError

    (tmp_path / "loihi2_lif").mkdir()
    for text in ("a,b,c\n", "1,2\n", "", "1,2,3,4\n"):
        (tmp_path / "loihi2_lif" / "lif_lava_loihi_fixed.csv").write_text(text)
        with pytest.raises(FileFormatError, match="is not rows of input, voltage and spike"):
            replay_record("lif-neuron", tmp_path)
    source = record("speck2f_nmnist/cnn_sinabs.nir").parent
    shutil.copytree(source, tmp_path / "speck2f_nmnist")
    np.save(tmp_path / "speck2f_nmnist" / "speck_activity.npy", np.zeros((1, 10, 2)))
    with pytest.raises(FileFormatError, match="expected spikes"):
        replay_record("first-layer", tmp_path)


def test_a_row_counts_what_differs() -> None:
    row = Recorded("a", "spikes", np.array([[1, 2], [3, 9]]), np.array([[1, 4], [3, 4]]))
    assert (row.differing, row.apart, row.largest) == (2, 7, 5)
    assert row.to_dict()["ours"] == 15
    assert "ours" not in Recorded("a", "voltage", row.ours, row.chip).to_dict()
