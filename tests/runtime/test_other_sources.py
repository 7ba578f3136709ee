"""Pictures shown to a virtual camera, the Speck board's sensor (a stand-in), and the log to Rerun (a stand-in)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from i2e_deploy.conversion import as_ratio, i2e_reference
from i2e_deploy.errors import CameraNotFound, MissingDependency, SourceLost
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


class Samna(ModuleType):
    """As much of samna 0.46 as the source uses."""

    def __init__(self, boards: list[str]) -> None:
        super().__init__("samna")
        self.applied: list[Any] = []
        event = SimpleNamespace(timestamp=5, x=3, y=4, p=True)
        batches: list[Any] = [[event, SimpleNamespace(timestamp=6)], RuntimeError("usb transfer failed")]

        def get_events() -> Any:
            batch = batches.pop(0)
            if isinstance(batch, Exception):
                raise batch
            return batch

        model = SimpleNamespace(get_source_node=object, apply_configuration=self.applied.append)
        names = [SimpleNamespace(device_type_name=name) for name in boards]
        self.device = SimpleNamespace(
            get_unopened_devices=lambda: names, open_device=lambda _: SimpleNamespace(get_model=lambda: model)
        )
        self.graph = SimpleNamespace(sink_from=lambda _: SimpleNamespace(get_events=get_events))
        configuration = SimpleNamespace(SpeckConfiguration=lambda: SimpleNamespace(dvs_layer=SimpleNamespace()))
        self.speck2f = self.speck2e = SimpleNamespace(configuration=configuration)


def test_the_board_s_sensor(monkeypatch: pytest.MonkeyPatch) -> None:
    samna = Samna(["Speck2fDevKit"])
    monkeypatch.setitem(sys.modules, "samna", samna)
    source = open_source("speck://")
    assert source.sensor_size == (128, 128)
    assert samna.applied[0].dvs_layer.raw_monitor_enable
    packet = source.read(0)
    assert packet is not None
    assert packet.tolist() == [(5, 3, 4, 1)]
    with pytest.raises(SourceLost, match="usb transfer failed"):
        source.read(0)
    source.close()
    monkeypatch.setitem(sys.modules, "samna", Samna([]))
    with pytest.raises(CameraNotFound, match=r"samna sees no device; on Linux .*337d"):
        open_source("speck://")


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
