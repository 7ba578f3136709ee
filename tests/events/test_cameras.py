"""Cameras, on stand-ins for their libraries: we had no camera. Names are checked against the real ones."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.errors import CameraNotFound, SourceLost
from i2e_deploy.events.sources import open_source

EVENTS = random_events(5000, 34, 34, seed=3)


def test_no_camera_names_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = ModuleType("dv_processing")
    nothing.io = SimpleNamespace(camera=SimpleNamespace(discover=list))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dv_processing", nothing)
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", None)
    with pytest.raises(CameraNotFound) as caught:
        open_source("camera://")
    for word in ("neuromorphic-drivers: not installed", "dv-processing: no iniVation camera", "idVendor", "udev"):
        assert word in str(caught.value)


class FakeNdDevice:
    """Behaves as neuromorphic_drivers.Device (0.18): iterates (status, packet), packet None when nothing came."""

    def __init__(self) -> None:
        theirs = np.zeros(len(EVENTS), np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")]))
        for name, field in (("t", "t"), ("x", "x"), ("y", "y"), ("on", "p")):
            theirs[name] = EVENTS[field]
        packets = [SimpleNamespace(polarity_events=part) for part in np.array_split(theirs, 5)]
        self._packets = [None, *packets, SimpleNamespace(polarity_events=None)]
        self.closed = False

    def __enter__(self) -> FakeNdDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def __iter__(self) -> FakeNdDevice:
        return self

    def __next__(self) -> tuple[None, Any]:
        if not self._packets:
            raise RuntimeError("control transfer error (disconnected)")
        return None, self._packets.pop(0)

    def properties(self) -> SimpleNamespace:
        return SimpleNamespace(width=346, height=260)


def test_neuromorphic_drivers_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    device, module = FakeNdDevice(), ModuleType("neuromorphic_drivers")
    module.open = lambda iterator_timeout, serial: device  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", module)
    source = open_source("camera://nd?serial=00001")
    assert source.sensor_size == (346, 260)
    parts = [source.read(0) for _ in range(6)]
    np.testing.assert_array_equal(np.concatenate([part for part in parts if part is not None]), EVENTS)
    assert source.read(0) is not None  # a packet of other data, without events
    with pytest.raises(SourceLost, match="disconnected"):
        source.read(0)
    source.close()
    assert device.closed


class FakeDvCamera:
    """Behaves as dv_processing.io.camera.CameraInputBase (2.0): batches, None when nothing came."""

    def __init__(self, end: Exception | None) -> None:
        dtype = np.dtype([("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "i1")])
        theirs = np.zeros(len(EVENTS), dtype)
        for name, field in (("timestamp", "t"), ("x", "x"), ("y", "y"), ("polarity", "p")):
            theirs[name] = EVENTS[field]
        parts = [theirs[:0], *np.array_split(theirs, 5)]
        self._batches: list[Any] = [None] + [SimpleNamespace(size=p.__len__, numpy=p.copy) for p in parts]
        self._end = end

    def getEventResolution(self) -> tuple[int, int]:  # noqa: N802
        return 640, 480

    def getNextEventBatch(self) -> Any:  # noqa: N802
        if self._batches:
            return self._batches.pop(0)
        if self._end is not None:
            raise self._end
        return None

    def isRunning(self) -> bool:  # noqa: N802
        return bool(self._batches) or self._end is not None


@pytest.mark.parametrize(
    ("end", "message"), [(None, "unplugged"), (RuntimeError("libusb transfer:\n  no device"), "transfer: no device")]
)
@pytest.mark.parametrize("uri", ["camera://inivation", "camera://dv?serial=DXA00123", "camera://"])
def test_dv_processing_camera(end: Any, message: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    camera, module, opened = FakeDvCamera(end), ModuleType("dv_processing"), []

    def open_camera(*serial: str) -> FakeDvCamera:
        opened.append(serial)
        return camera

    calls = SimpleNamespace(discover=lambda: [object()], open=open_camera)
    module.io = SimpleNamespace(camera=calls)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dv_processing", module)
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", None)  # `camera://` goes on to dv-processing
    source = open_source(uri)
    assert opened == [("DXA00123",) if "serial" in uri else ()]
    assert source.sensor_size == (640, 480)
    parts = [source.read(1) for _ in range(5)]  # waits over what is empty
    np.testing.assert_array_equal(np.concatenate([part for part in parts if part is not None]), EVENTS)
    with pytest.raises(SourceLost, match=message):
        source.read(0)
    source.close()
    source.close()


def test_a_device_without_an_event_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """`getEventResolution` is None then, say dv-processing's docstrings."""
    camera, module = SimpleNamespace(getEventResolution=lambda: None), ModuleType("dv_processing")
    module.io = SimpleNamespace(camera=SimpleNamespace(discover=lambda: [object()], open=lambda: camera))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dv_processing", module)
    with pytest.raises(CameraNotFound, match="no event stream"):
        open_source("camera://dv")


def test_a_serial_number_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(serial: str) -> None:
        raise RuntimeError(f"Could not find device with given serial number {serial}")

    module = ModuleType("dv_processing")
    module.io = SimpleNamespace(camera=SimpleNamespace(discover=lambda: [object()], open=refuse))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dv_processing", module)
    with pytest.raises(CameraNotFound, match="given serial number 7;"):
        open_source("camera://dv?serial=7")


def test_the_stand_ins_have_the_names_of_the_real_ones() -> None:
    dv = pytest.importorskip("dv_processing")
    for name in ("getEventResolution", "getNextEventBatch", "isRunning"):
        assert hasattr(dv.io.camera.CameraInputBase, name)
        assert hasattr(FakeDvCamera, name)
    assert isinstance(dv.io.camera.discover(), list)
    store = dv.EventStore()
    store.push_back(5, 3, 4, True)
    assert store.size() == 1
    assert store.numpy().dtype.names == ("timestamp", "x", "y", "polarity")
