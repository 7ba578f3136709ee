"""Work for a chip that is elsewhere: what a script needs there, and what it sends back, as plain data.

The script runs where a board is and this project is not; it imports the vendor's packages and Python's own, and prints
what it found beside what was expected. `bundle.job` makes one file of it, and reads what came back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from i2e_deploy.chips.trace import Integers
from i2e_deploy.text import counted, said


@dataclass(frozen=True, eq=False)
class Job:
    """A chip's part of a job.

    Args:
        script: of the job, as text.
        files: what it reads beside `job.json`, by name.
        about: what `job.json` says for the script, JSON-able.
        needs: what the machine must have, e.g. "samna 0.46 and a Speck2f board".
    """

    script: str
    files: Mapping[str, bytes]
    about: Mapping[str, Any]
    needs: str

    def __repr__(self) -> str:
        size = sum(map(len, self.files.values()))
        return said(self, counted(len(self.files), "file"), counted(size, "byte"), f"needs {self.needs}")


@dataclass(frozen=True, eq=False)
class Returned:
    """What a job's script sent back.

    Args:
        arrays: int64, by name.
        incidents: irregularities of the run, counted by kind.
        machine: what ran it, in words, e.g. board and versions.
    """

    arrays: Mapping[str, Integers]
    incidents: Mapping[str, int]
    machine: str

    def __repr__(self) -> str:
        return said(self, counted(len(self.arrays), "array"), repr(self.machine[:80]))
