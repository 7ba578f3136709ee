"""`camera://`: the first camera found, through neuromorphic-drivers or dv-processing.

| URI | opens |
|---|---|
| `camera://` | the first camera that either library finds |
| `camera://prophesee`, `camera://nd` | neuromorphic-drivers: DAVIS346, DVXplorer, Prophesee EVK3 and EVK4 |
| `camera://inivation`, `camera://dv` | dv-processing: the other iniVation models (DVS128, Mini, Micro, S) |

`?serial=` picks one of several. Written against the libraries' documentation (neuromorphic-drivers 0.18, dv-processing
2.0) and a stand-in; we had no camera: unverified on hardware.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from i2e_deploy.errors import CameraNotFound, InputError, SourceLost
from i2e_deploy.events.array import Events, empty_events
from i2e_deploy.events.sources.base import Source, SourceUri
from i2e_deploy.events.sources.dv import read_dv

_UDEV = (
    "on Linux a camera that is plugged in but not found usually lacks its udev rule: run "
    "`sudo neuromorphic-drivers-install-udev-rules`, or put "
    'SUBSYSTEM=="usb", ATTRS{idVendor}=="152a", MODE="0666" (iniVation; Prophesee 04b4 or 31f7) into '
    "/etc/udev/rules.d/65-event-camera.rules, then plug it in again"
)


def open_camera(uri: SourceUri) -> Source:
    """The first camera found.

    Raises:
        CameraNotFound: none; the message names each library that was tried and what it said.
    """
    uri.only("serial")
    openers: dict[str, Callable[[str | None], Source]] = {"neuromorphic-drivers": NdCamera, "dv-processing": DvCamera}
    names = {"": list(openers), "nd": ["neuromorphic-drivers"], "prophesee": ["neuromorphic-drivers"],
             "dv": ["dv-processing"], "inivation": ["dv-processing"]}  # fmt: skip
    if uri.host not in names:
        raise InputError(f"source {uri.text!r}: choose camera:// alone or with one of {', '.join(filter(None, names))}")
    tried = []
    for name in names[uri.host]:
        try:
            return openers[name](uri.options.get("serial"))
        except ImportError:  # noqa: PERF203  # two turns
            tried.append(f"{name}: not installed (pip install {name})")
        except (RuntimeError, ValueError, IndexError, OSError) as error:
            tried.append(f"{name}: {' '.join(str(error).split())[:120]}")
    raise CameraNotFound(f"no camera found; tried {'; '.join(tried)}; {_UDEV}")


class NdCamera:
    """A camera of neuromorphic-drivers."""

    def __init__(self, serial: str | None) -> None:
        import neuromorphic_drivers as nd

        options = {} if serial is None else {"serial": serial}
        self._device: Any = nd.open(iterator_timeout=0.01, **options).__enter__()
        properties = self._device.properties()
        self.sensor_size = (int(properties.width), int(properties.height))
        self._packets = iter(self._device)

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                _, packet = next(self._packets)
            except StopIteration:
                raise SourceLost("camera: neuromorphic-drivers ended the stream: unplugged?") from None
            except (RuntimeError, OSError) as error:
                raise SourceLost(f"camera: {' '.join(str(error).split())[:200]}") from error
            theirs = None if packet is None else getattr(packet, "polarity_events", None)
            if theirs is not None and len(theirs):
                events = empty_events(len(theirs))
                for name, field in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
                    events[name] = theirs[field]
                return events
            if time.monotonic() >= deadline:
                return empty_events()

    def close(self) -> None:
        """See `Source.close`."""
        device, self._device = self._device, None
        if device is not None:
            device.__exit__(None, None, None)


class DvCamera:
    """A camera of dv-processing 2.x."""

    def __init__(self, serial: str | None) -> None:
        import dv_processing as dv

        # without a camera, 2.0.4's open() fails with an index error of C++: ask first
        found = dv.io.camera.discover()
        if not found:
            raise RuntimeError("no iniVation camera on the USB bus")
        self._camera: Any = dv.io.camera.open() if serial is None else dv.io.camera.open(serial)
        size = self._camera.getEventResolution()
        if size is None:
            raise RuntimeError("the device has no event stream")
        self.sensor_size = (int(size[0]), int(size[1]))

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        return read_dv(self._camera, timeout, "camera", "dv-processing says that it no longer runs: unplugged?")

    def close(self) -> None:
        """See `Source.close`."""
        self._camera = None
