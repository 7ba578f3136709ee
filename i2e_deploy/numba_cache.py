"""Where numba keeps compiled kernels, decided once, before numba is imported.

numba takes the folder `NUMBA_CACHE_DIR`, else `__pycache__` beside the source, else the user's cache: the first that it
can write. Where it can write none, no kernel can be imported. That is so in a container that runs as another user than
the one that installed it, without a home. A folder of the user below the temporary one is taken then.

`import i2e_deploy` runs this: it imports nothing but what Python has loaded at its start.
"""

from __future__ import annotations

import os
import stat
import sys

VARIABLE = "NUMBA_CACHE_DIR"
PACKAGE = os.path.dirname(os.path.abspath(__file__))
#: Name of the temporary folder, before the number of the user.
PREFIX = "i2e_deploy-numba-"


def decide() -> str | None:
    """Give numba a temporary folder where it would find no place by itself; that folder, None where it does."""
    wanted = os.environ.get(VARIABLE)
    if (wanted and is_writable(os.path.abspath(wanted))) or is_writable(user_cache()) or source_is_writable():
        return None
    folder = _temporary()
    if folder is not None:
        os.environ[VARIABLE] = folder
        if "numba" in sys.modules:  # it has read its environment already
            sys.modules["numba"].config.CACHE_DIR = folder
    return folder


def user_cache() -> str:
    """numba's cache of this user; a relative path where the user has no home."""
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA", "~"), "numba", "Cache")
    base = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.path.join(os.path.expanduser(base), "numba")


def source_is_writable() -> bool:
    """Whether each folder of the package is: kernels lie in many."""
    return all(is_writable(os.path.join(folder, "__pycache__")) for folder, _, _ in os.walk(PACKAGE))


def is_writable(folder: str) -> bool:
    """Whether files can be made in a folder, which may have to be made first; False for a relative path."""
    if not os.path.isabs(folder):
        return False
    while not os.path.exists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _temporary() -> str | None:
    """A folder that only this user can write, the same in the next run; None where none can be made.

    numba unpickles what it finds in its cache, and in a shared temporary folder anybody can make a folder of any name.
    One that is a link, another user's, or open to others is left alone: a new one of a random name lives for this run.
    """
    import atexit
    import shutil
    import tempfile

    if not hasattr(os, "getuid"):  # Windows: temporary folder and cache of a user are his own, and go together
        return None
    try:
        folder = os.path.join(tempfile.gettempdir(), f"{PREFIX}{os.getuid()}")
        try:
            os.mkdir(folder, mode=0o700)
        except FileExistsError:
            if not _is_private(folder):
                folder = tempfile.mkdtemp(prefix=PREFIX)
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
    except OSError:
        return None
    return folder


def _is_private(folder: str) -> bool:
    """Whether it is a folder, no link to one, of this user, and closed to others."""
    found = os.lstat(folder)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700


#: The temporary folder of this process, or None.
TEMPORARY = decide()
