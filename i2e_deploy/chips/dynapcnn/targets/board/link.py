"""Find and open a Speck board through samna: the one way, for the board target and for `speck://`.

The names used are those of samna's public documentation ("Device controller") and of Sinabs 3.1.3
`backend/dynapcnn/io.py`. We had no board: unverified on silicon.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.targets.board.calls import LIMIT_S, Calls
from i2e_deploy.errors import BoardNotFound, MissingDependency, SourceLost, UnsupportedError

P = ParamSpec("P")
T = TypeVar("T")
#: A time stamp, or an int64 array of them.
Stamp = TypeVar("Stamp", int, NDArray[np.int64])

#: Chips whose boards are opened, and samna's module of the same name.
CHIPS = ("speck2e", "speck2f")
#: The stop watch of a board, and so every time stamp, has 32 bits of microseconds: 71.6 minutes.
WRAP = 2**32
#: Names of samna that are used, looked for when a board is opened: versions of samna differ in them. Documented for
#: samna 0.46 (its reference; Sinabs 3.1.3 `backend/dynapcnn`; the datasheet). Hardware tutorials that broke with a new
#: samna are Sinabs' issues 272 and 274.
MODULE = (
    "configuration.SpeckConfiguration", "event.Spike", "event.DvsEvent", "event.NeuronValue", "event.ReadNeuronValue",
    "event.WriteNeuronValue", "event.ReadoutPinValue", "validate_configuration",
)  # fmt: skip
GRAPH = ("graph.source_to", "graph.sink_from")
DEVICE = ("get_model", "get_stop_watch", "get_io_module", "get_power_monitor")
_UDEV = 'on Linux it usually lacks its udev rule: SUBSYSTEM=="usb", ATTRS{idVendor}=="337d", MODE="0666"'


class Clock(Protocol):
    """What is used of the module `time`."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


@dataclass(frozen=True, eq=False)
class Board:
    """An open board.

    Args:
        samna: the vendor's module.
        device: what `open_device` gave.
        name: type of the board, e.g. `"Speck2fDevKit"`.
        chip: name of the profile and of samna's module, e.g. `"speck2f"`.
        calls: runs whatever may block.
    """

    samna: Any
    device: Any
    name: str
    chip: str
    calls: Calls

    @property
    def module(self) -> Any:
        """E.g. `samna.speck2f`, with `configuration` and `event`."""
        return getattr(self.samna, self.chip)

    @property
    def clock(self) -> Clock:
        """Real time; a stand-in for samna may bring its own in `stand_in_clock`, so that tests need not wait."""
        clock: Clock = getattr(self.samna, "stand_in_clock", time)
        return clock

    def call(self, where: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call samna; `where` says what was being done, e.g. "in sample 3".

        Raises:
            SourceLost: samna reports that a transfer failed, or does not return.
        """
        try:
            return self.calls.run(function, *args, **kwargs)
        except (RuntimeError, OSError, SourceLost) as error:
            raise SourceLost(f"board lost {where}: {text_of(error)}") from error

    def close(self) -> None:
        """Give the board back; a board that is gone is closed, one on which a call hangs is left as it is."""
        with contextlib.suppress(RuntimeError, OSError, SourceLost):
            self.calls.run(self.samna.device.close_device, self.device)
        self.calls.close()


def load_samna(needed_for: str) -> Any:
    """The real samna; the one on the public index is an installer that runs pip when imported: its files tell.

    Raises:
        MissingDependency: it is not installed, or cannot be imported.
    """
    import subprocess
    import sys

    if "samna" in sys.modules:
        return sys.modules["samna"]
    from i2e_deploy.environment import SAMNA_INSTALL
    from i2e_deploy.environment import samna as installed

    if installed().status != "ok":
        raise MissingDependency("samna", needed_for, SAMNA_INSTALL)
    try:
        import samna
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        raise MissingDependency("samna", f"{needed_for} (it is there, but: {text_of(error)})", SAMNA_INSTALL) from error
    return samna


def open_board(needed_for: str, name: str | None = None, limit_s: float = LIMIT_S) -> Board:
    """Open a board.

    Args:
        needed_for: what the user asked for, for the error.
        name: type, or type:index, e.g. `"Speck2fDevKit:1"`; None: the first Speck board that is free.
        limit_s: longest time that a call of samna may take, seconds.

    Raises:
        MissingDependency: samna is not installed.
        BoardNotFound: there is no such board, or it is in use, or samna does not return from opening it.
        UnsupportedError: this samna lacks names that are used here.
    """
    samna, calls = load_samna(needed_for), Calls(limit_s)
    try:
        return _open(samna, calls, name)
    except BaseException:
        calls.close()
        raise


def _open(samna: Any, calls: Calls, name: str | None) -> Board:
    try:
        attached = list(calls.run(samna.device.get_all_devices))
        free = list(calls.run(samna.device.get_unopened_devices))
    except (RuntimeError, OSError, SourceLost) as error:
        raise BoardNotFound(f"samna cannot list boards: {text_of(error)}") from error
    wanted = _named(attached, name)
    if not wanted:
        seen = ", ".join(str(info.device_type_name) for info in attached) or "no device"
        raise BoardNotFound(f"no Speck board found{f' named {name}' if name else ''}; samna sees {seen}; {_UDEV}")
    unopened = {_place(info) for info in free}
    ready = [info for info in wanted if _place(info) in unopened]
    if not ready:
        names = ", ".join(str(info.device_type_name) for info in wanted)
        raise BoardNotFound(f"{names} is in use: a board is opened once on a machine; close the other program")
    kind = str(ready[0].device_type_name)
    try:
        device = calls.run(samna.device.open_device, ready[0])
    except (RuntimeError, OSError, SourceLost) as error:
        raise BoardNotFound(f"{kind} cannot be opened: {text_of(error)}; {_UDEV}") from error
    if device is None:  # as Sinabs' `open_device` expects
        raise BoardNotFound(f"{kind} cannot be opened, samna gives no reason; {_UDEV}")
    board = Board(samna, device, kind, _chip(kind) or CHIPS[-1], calls)
    missing = lacking(samna, device, board.chip)
    if missing:
        board.close()
        version = getattr(samna, "__version__", "of unknown version")
        raise UnsupportedError(f"samna {version} has no {', '.join(missing)}: this was written for samna 0.46")
    return board


def unwrap(stamp: Stamp, near: int) -> Stamp:
    """The time, or times, that are `stamp` modulo 2^32 and nearest to `near`, microseconds.

    Right as long as the two clocks differ by less than 2^31 microseconds (36 minutes).
    """
    return near + (stamp - near + WRAP // 2) % WRAP - WRAP // 2


def _chip(kind: str) -> str | None:
    return next((chip for chip in CHIPS if kind.lower().startswith(chip)), None)


def _named(attached: list[Any], name: str | None) -> list[Any]:
    """Speck boards of that name: of the type, or the one at the index."""
    kind, colon, index = (name or "").partition(":")
    boards = [info for info in attached if _chip(str(info.device_type_name)) and kind in ("", info.device_type_name)]
    if not colon:
        return boards
    return boards[int(index) : int(index) + 1] if index.isdecimal() else []


def _place(info: Any) -> tuple[str, int, int]:
    return str(info.device_type_name), int(info.usb_bus_number), int(info.usb_device_address)


def text_of(error: Exception) -> str:
    """An error of samna's in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def lacking(samna: Any, device: Any, chip: str) -> list[str]:
    """Names that this samna, or the board that it opened, lacks."""
    found = [name for name in GRAPH if not _has(samna, name)]
    found += [f"{chip}.{name}" for name in MODULE if not _has(samna, f"{chip}.{name}")]
    return found + [f"{name} of the board" for name in DEVICE if not _has(device, name)]


def _has(root: Any, path: str) -> bool:
    try:
        reduce(getattr, path.split("."), root)
    except AttributeError:
        return False
    return True
