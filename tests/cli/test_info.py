"""`info` says what an event file holds: each figure against NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Captured
from event_strategies import random_events
from public_data import case

from i2e_deploy.cli.app import run
from i2e_deploy.events.files import write_events


@pytest.mark.parametrize("ending", [".raw", ".npz", ".dat", ".h5"])
def test_every_figure(ending: str, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / f"a{ending}"
    for seed in range(5):
        events = random_events(3000 + seed, 300, 200, seed, span=60)
        write_events(path, events, (320, 240))
        assert run(["info", str(path), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        (stream,) = said["streams"]
        t = events["t"]
        bins = np.bincount((t - t[0]) // 10_000)
        assert (said["bytes"], stream["sensor_size"]) == (path.stat().st_size, [320, 240])
        assert stream["extent"] == [int(events["x"].max()) + 1, int(events["y"].max()) + 1]
        assert (stream["events"], stream["on"], stream["off"]) == (len(t), events["p"].sum(), (events["p"] == 0).sum())
        assert (stream["first_us"], stream["last_us"]) == (t[0], t[-1])
        assert stream["seconds"] == pytest.approx((t[-1] - t[0]) / 1e6)
        assert stream["rate"] == pytest.approx(len(t) / ((t[-1] - t[0]) / 1e6))
        assert stream["peak_rate"] == bins.max() * 100
        assert stream["damage"] is None


def test_the_peak_over_the_border_of_packets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr("i2e_deploy.events.formats.numpy_files.PACKET_EVENTS", 100)
    events = random_events(2000, 30, 30, 1, span=100)
    write_events(tmp_path / "a.npz", events, (30, 30))
    assert run(["info", str(tmp_path / "a.npz"), "--json"]) == 0
    peak = json.loads(capsys.readouterr().out)["streams"][0]["peak_rate"]
    assert peak == 100 * np.bincount((events["t"] - events["t"][0]) // 10_000).max()


def test_damage_and_notes_are_told(tmp_path: Path, capsys: Captured) -> None:
    rows = "".join(f"{t},{t % 8},1,{t % 2}\n" for t in range(100))
    (tmp_path / "a.csv").write_text(f"{rows}broken\n{rows}")
    assert run(["info", str(tmp_path / "a.csv")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for said in ("csv,", "events 101 ", "51 ON (50.5 %), 50 OFF", "0 to 99 us", "0.000099 s", "not said",
                 "after 100 events",
                 "100 events left out", "'broken' is not 4 numbers", "taken for t, x, y, p"):  # fmt: skip
        assert said in text, said


def test_an_empty_recording(tmp_path: Path, capsys: Captured) -> None:
    write_events(tmp_path / "a.dat", random_events(0, 8, 8), (8, 8))
    assert run(["info", str(tmp_path / "a.dat")]) == 0
    assert "events  0" in capsys.readouterr().out.replace("   ", "  ")


def test_every_camera_is_told(capsys: Captured) -> None:
    path = case("aedat4_two_cameras_second_lost.aedat4")
    assert run(["info", str(path), "--json"]) == 0
    streams = json.loads(capsys.readouterr().out)["streams"]
    assert [(row["stream"], row["sensor_size"], row["events"]) for row in streams] == [
        ("0", [346, 260], 300), ("1", [640, 480], 300),
    ]  # fmt: skip
    assert run(["info", str(path), "--stream", "1", "--json"]) == 0
    assert [row["stream"] for row in json.loads(capsys.readouterr().out)["streams"]] == ["1"]


def test_what_is_no_event_file(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name, said in (("a.png", "names no event file format"), ("b.raw", "no such file")):
        assert run(["info", str(tmp_path / name)]) == 2
        assert said in capsys.readouterr().err


def test_damage_of_hdf5_is_counted_through_the_child(tmp_path: Path, capsys: Captured) -> None:
    """Two places of events, a chunk of one is damaged: both are told, or the one that is named."""
    h5py = pytest.importorskip("h5py")
    path, sides = tmp_path / "a.h5", ("left", "right")
    given = {side: random_events(8000, 300, 200, seed) for seed, side in enumerate(sides)}
    with h5py.File(path, "w") as file:
        for side, events in given.items():
            for name in "txyp":
                file.create_dataset(f"{side}/{name}", data=events[name], chunks=(2000,), compression="gzip")
        chunk = file["left/x"].id.get_chunk_info(1)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + 40] = bytes(40)
    path.write_bytes(data)
    for asked, named in (([], sides), (["--stream", "left"], ("left",)), (["--stream", "right"], ("right",))):
        assert run(["info", str(path), "--json", *asked]) == 0
        streams = {row["stream"]: row for row in json.loads(capsys.readouterr().out)["streams"]}
        assert tuple(streams) == named
        for side, row in streams.items():
            kept = given[side] if side == "right" else np.delete(given[side], np.s_[2000:4000])
            assert (row["events"], row["on"]) == (len(kept), kept["p"].sum())
            lost = row["damage"]
            assert lost is None if side == "right" else (lost["events"], lost["dropped"]) == (2000, 2000)
