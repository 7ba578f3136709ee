"""Every error that this package raises on purpose.

    I2EDeployError
    ├── InputError            what the user gave cannot be used            exit code 2
    │   └── FileFormatError   a file is damaged, inconsistent or not what its name says
    │   └── CameraNotFound    no camera could be opened; names what was tried
    │   └── BoardNotFound     no board could be opened: none attached, or in use; names what is there
    ├── SourceLost            a live source or a board went away (unplugged, closed, silent)
    ├── UnsupportedError      a network, layer or option that has no counterpart on the chip
    ├── MissingDependency     an optional package is needed and absent (also an ImportError)
    ├── CheckFailed           a network does not fit the chip              exit code 1
    └── ComparisonFailed      two runs that must agree do not              exit code 1

A message says what is wrong, where, the value, the limit, and how to fix it, in one line. The
command line prints it and exits with `exit_code`; a library user catches the root.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BoardNotFound",
    "CameraNotFound",
    "CheckFailed",
    "ComparisonFailed",
    "FileFormatError",
    "I2EDeployError",
    "InputError",
    "MissingDependency",
    "SourceLost",
    "UnsupportedError",
]


class I2EDeployError(Exception):
    """Root of all errors of this package."""

    exit_code: ClassVar[int] = 2


class InputError(I2EDeployError, ValueError):
    """What the user gave (a value, a shape, a file name) cannot be used."""


class FileFormatError(InputError):
    """A file is damaged, truncated, larger than it may be, or not what its name says."""


class CameraNotFound(InputError):
    """No camera could be opened; the message names every library that was tried and what each said."""


class BoardNotFound(InputError):
    """No board could be opened: none is attached, or it is in use; the message names what is there."""


class SourceLost(I2EDeployError):
    """A live source or a board went away: unplugged, closed, silent, or it sent what its protocol does not allow."""

    exit_code = 1


class UnsupportedError(I2EDeployError):
    """A layer, option or graph that the target chip or this version has no counterpart for."""


class MissingDependency(I2EDeployError, ImportError):
    """An optional package or program is needed and is not installed.

    Args:
        package: name of the package, as on the package index; or of the program, and where its sources are.
        needed_for: what the user asked for, e.g. "training with SLAYER".
        install: the command that installs it.
        kind: what it is, in the message: "package" or "program".
    """

    def __init__(self, package: str, needed_for: str, install: str, kind: str = "package") -> None:
        self.package, self.needed_for, self.install, self.kind = package, needed_for, install, kind
        super().__init__(f"{needed_for} needs the {kind} {package!r}: install it with `{install}`")


class CheckFailed(I2EDeployError):
    """A network breaks at least one rule of the chip; the message names each."""

    exit_code = 1


class ComparisonFailed(I2EDeployError):
    """Two runs that must be equal are not; the message names the first difference."""

    exit_code = 1
