"""Pictures shown to a virtual camera, the sensor of a fake Speck board, and the log to Rerun (a stand-in)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna
from i2e_deploy.conversion import as_ratio, i2e_reference
from i2e_deploy.errors import BoardNotFound, MissingDependency, SourceLost
from i2e_deploy.events.array import EVENT_DTYPE
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.stream import StreamSpec, Windower
from i2e_deploy.runtime.decider import Decision
from i2e_deploy.runtime.rerun_log import RerunLog


def test_pictures_become_the_frames_of_i2e(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    for i, picture in enumerate(pictures):
        image.fromarray(picture).save(tmp_path / f"{i}.png")
    source = open_source(f"i2e://{tmp_path}?size=16&ratio=0.1&step=1000&realtime=0")
    windower, windows = Windower(StreamSpec(8, 1000), FrameSpec((16, 16), (2, 16, 16))), []
    while (packet := source.read(0.1)) is not None:
        windows += windower.push(packet)
    windows += windower.advance(24_000)
    expected = i2e_reference(pictures.transpose(0, 3, 1, 2), as_ratio("0.1"))
    assert len(windows) == 3
    for window, frames in zip(windows, expected, strict=True):
        np.testing.assert_array_equal(window.frames, frames)


def test_the_board_s_sensor() -> None:
    sent = random_events(50, 128, 128, seed=1)
    with fake_samna(sensor=sent) as samna:
        source = open_source("speck://")
        assert source.sensor_size == (128, 128)
        packets: list[Any] = []
        while sum(len(packet) for packet in packets) < len(sent):
            packet = source.read(1)
            assert packet is not None
            packets.append(packet)
        np.testing.assert_array_equal(np.concatenate(packets), sent)
        again = source.read(0.5)
        assert again is not None
        assert not len(again)
        with pytest.raises(BoardNotFound, match="is in use"):
            open_source("speck://")
        source.close()
        with pytest.raises(SourceLost, match="while its sensor was read: it is closed"):
            source.read(0)
        open_source("speck://?board=Speck2fDevKit:0").close()
        assert [board.open for board in samna.opened] == [False, False]
    with fake_samna([]), pytest.raises(BoardNotFound, match=r"samna sees no device; on Linux .*337d"):
        open_source("speck://")


def test_the_sensor_s_time_stamps_wrap() -> None:
    """The board's stop watch has 32 bits of microseconds; time goes on."""
    before, after = (np.array([(t, 1, 2, 1)], EVENT_DTYPE) for t in (2**32 - 5, 7))
    with fake_samna() as samna:
        source = open_source("speck://")
        samna.opened[0].sense(before)
        first = source.read(0)
        samna.opened[0].sense(after)
        second = source.read(0)
    assert first is not None
    assert second is not None
    assert int(second["t"][0] - first["t"][0]) == 12


def test_the_stub_of_the_public_index_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    from i2e_deploy import environment

    monkeypatch.delitem(sys.modules, "samna", raising=False)
    monkeypatch.setattr(environment, "samna", lambda: environment.Row("samna", "absent", "the stub"))
    with pytest.raises(MissingDependency, match="speck://"):
        open_source("speck://")
    assert "samna" not in sys.modules


def test_rerun_log(monkeypatch: pytest.MonkeyPatch) -> None:
    decision = Decision((0,), 0, 2_000_000, 9, 1, (0, 3), {"conv": 7}, {"conv": 8}, 0.001)
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingDependency, match="rerun-sdk"):
        RerunLog()
    calls: list[Any] = []
    rerun = SimpleNamespace(
        init=lambda *a, **k: calls.append(("init", k)), log=lambda *a: calls.append(a),
        set_time=lambda name, duration: calls.append((name, duration)), Scalars=float, BarChart=list,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "rerun", rerun)
    RerunLog().decided(decision)
    assert ("stream", 2.0) in calls
    assert ("decision/scores", [0, 3]) in calls
    assert ("spikes/conv", 7.0) in calls
