"""How a script that ran Lava ends: at once, with its code, as Lava leaves threads and processes behind."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable


def run_and_exit(main: Callable[[], None]) -> None:
    """Run `main`; the traceback and code 1 where it fails."""
    code = 1
    try:
        main()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
