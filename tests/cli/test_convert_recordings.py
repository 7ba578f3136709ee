"""`convert` from any event format to any other, with the options that every command takes for recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured
from event_strategies import random_events

from i2e_deploy.cli.app import run
from i2e_deploy.events.files import read_events, write_events
from i2e_deploy.events.formats import FORMATS, WRITTEN

pytest.importorskip("faery")
SIZE = (34, 34)


def ending(name: str) -> str:
    return (*FORMATS[name].suffixes, ".raw")[0]


@pytest.mark.parametrize("name", WRITTEN)
def test_between_any_two_formats(name: str, tmp_path: Path) -> None:
    """From each format to every other: a drawn half of them each time, so that all pairs are met in both directions."""
    size = (128, 128)  # of a camera that AEDAT 2.0 knows
    events = random_events(400, *size, seed=len(name))
    source = tmp_path / f"in{ending(name)}"
    write_events(source, events, size, format=name)
    for number, other in enumerate(WRITTEN):
        out = tmp_path / f"out{number}{ending(other)}"
        command = ["convert", str(source), "--out", str(out), "--out-format", other, "--sensor-size", "128x128"]
        assert run(command) == 0
        got = read_events(out, sensor_size=size)
        np.testing.assert_array_equal(got.events, events, err_msg=other)
        assert got.sensor_size == size


def test_windows_in_time(tmp_path: Path, capsys: Captured) -> None:
    events = random_events(5000, *SIZE, seed=3)
    events["t"] += 1_604_000_000_000_000
    write_events(tmp_path / "a.npz", events, SIZE)
    after = events["t"] - events["t"][0]
    for seed in range(8):
        random = np.random.default_rng(seed)
        start, end = np.sort(random.integers(0, int(after[-1]) + 500, 2)).tolist()
        command = ["convert", str(tmp_path / "a.npz"), "--out", str(tmp_path / "b.dat"), "--from-zero"]
        assert run([*command, "--start", str(start / 1e6), "--end", str((end + 1) / 1e6)]) == 0
        wanted = events[(after >= start) & (after < end + 1)].copy()
        wanted["t"] -= events["t"][0] + start
        np.testing.assert_array_equal(read_events(tmp_path / "b.dat").events, wanted)
    capsys.readouterr()
    assert run([*command, "--start", "2", "--end", "1"]) == 2
    assert "0 <= start < end" in capsys.readouterr().err
    assert run(command[:-1]) == 2  # since 1970: more than DAT holds
    assert "--from-zero" in capsys.readouterr().err


def test_sort_stream_and_salvage_in_the_words_of_the_command(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n9,1,2,1\n5,3,4,0\n6,40,4,0\nbad\n")
    command = ["convert", str(tmp_path / "a.csv"), "--out", str(tmp_path / "b.npy"), "--time-unit", "us"]
    assert run(command) == 2
    assert "give --sensor-size WIDTHxHEIGHT" in capsys.readouterr().err
    command += ["--sensor-size", "34x34"]
    assert run(command) == 2
    said = capsys.readouterr().err
    assert "--sort puts all events in order, --continue goes on where a clock restarted, --salvage leaves out" in said
    assert not (tmp_path / "b.npy").exists()
    assert run([*command, "--sort", "--salvage"]) == 0
    assert "2 events left out" in capsys.readouterr().err
    assert read_events(tmp_path / "b.npy").events.tolist() == [(5, 3, 4, 0), (9, 1, 2, 1)]
    assert run([*command, "--sort", "--continue"]) == 2
    assert "--sort and --continue" in capsys.readouterr().err
    assert run([*command, "--stream", "1"]) == 2
    assert "--stream 1, but a file of csv holds one camera" in capsys.readouterr().err


def test_tables_by_option_and_their_notes(tmp_path: Path, capsys: Captured) -> None:
    events = random_events(200, *SIZE, seed=4)
    np.savetxt(tmp_path / "a.txt", np.stack([events[name] for name in "ptxy"], axis=1), fmt="%d")
    command = ["convert", str(tmp_path / "a.txt"), "--out", str(tmp_path / "b.npz"), "--sensor-size", "34,34"]
    assert run(command) == 2
    assert "--columns txyp" in capsys.readouterr().err
    assert run([*command, "--columns", "ptxy", "--json"]) == 0
    written = capsys.readouterr()
    assert "taken for us; --time-unit s says another" in written.err
    said = json.loads(written.out)
    assert (said["count"], said["from"], said["to"], said["left_out"]) == (200, "csv", "npz", 0)
    np.testing.assert_array_equal(read_events(tmp_path / "b.npz").events, events)


def test_options_of_the_other_kind_of_input_are_refused(tmp_path: Path, capsys: Captured) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    write_events(tmp_path / "a.npz", random_events(9, *SIZE), SIZE)
    for arguments, said in (
        (["a.png", "--out", "b.npy", "--sort"], "--sort is for recordings"),
        (["a.png", "--out", "b.npy", "--start", "1"], "--start is for recordings"),
        (["a.npz", "--out", "b.raw", "--ratio", "0.2"], "--ratio is for pictures"),
        (["a.npz", "--out", "a.npz"], "the recording itself"),
        (["a.npz"], "give --out"),
        (["a.npz", "--out", "b.hdf"], "hdf5 is only read"),
        (["a.npz", "--out", "b.aedat2"], "AEDAT 2.0 holds cameras of 128 x 128"),
        (["a.npz", "--out", "b.xyz"], "names no event file format"),
        (["a.npz", "--out", "b.npy", "--sensor-size", "34"], "give WIDTHxHEIGHT"),
    ):
        paths = [str(tmp_path / part) if part.startswith(("a.", "b.")) else part for part in arguments]
        assert run(["convert", *paths]) == 2, arguments
        assert said in capsys.readouterr().err
