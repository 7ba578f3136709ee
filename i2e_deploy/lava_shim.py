"""Makes Intel Lava (lava-nc 0.10.0, lava-dl 0.6.0) importable on Python 3.11 and later.

Both are archived and declare Python < 3.11. Two modules stand in the way, no others:

* `lava/magma/compiler/var_model.py:221-240` has dataclass fields with the default `ByteEncoder()`,
  which 3.11 refuses as it is not hashable (bpo-44674). Only that class is made hashable: doing it
  to all breaks `scipy.special` ("Cannot overwrite attribute __hash__ in class _FuncInfo").
* `lava/lib/dl/slayer/__init__.py` imports `object_detection`, hence torchvision and OpenCV. A
  torchvision built for another torch fails with "operator torchvision::nms does not exist".

Not mended, on any Python: importing Lava's processes calls `multiprocessing.set_start_method`
(`lava/magma/runtime/message_infrastructure/multiprocessing.py:47`), which raises "context has
already been set" once the interpreter has used a pool or a queue. Run Lava in a child process.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from i2e_deploy.errors import MissingDependency
from i2e_deploy.requirements import install_command

INSTALL = (
    install_command("lava-nc", "lava-dl")
    if sys.version_info < (3, 11)
    else "pip install --no-deps --ignore-requires-python lava-nc==0.10.0 lava-dl==0.6.0 && "
    "pip install 'asteval>=0.9.31,<0.10' matplotlib networkx 'numpy<2' scipy setuptools"
)
_VAR_MODEL = "lava.magma.compiler.var_model"
_OBJECT_DETECTION = "lava.lib.dl.slayer.object_detection"


def import_lava(needed_for: str = "Lava") -> None:
    """Call before the first `import lava...`, as often as you like; see the top of this module.

    `dataclasses.dataclass` is patched only within the call, and not on Python 3.10. Where torchvision and OpenCV
    are installed, as lava-dl's own pins ask, nothing at all is changed on 3.10.

    Raises:
        MissingDependency: lava-nc or lava-dl is not installed. `needed_for` opens the message.
    """
    for package, module in (("lava-nc", "lava.magma"), ("lava-dl", "lava.lib.dl.slayer")):
        if not _exists(module):
            raise MissingDependency(package, needed_for, INSTALL)
    if sys.version_info >= (3, 11):
        with _hashable_byte_encoder():
            import_module(_VAR_MODEL)
    if _OBJECT_DETECTION not in sys.modules and not _can_import("torchvision", "cv2"):
        sys.modules[_OBJECT_DETECTION] = ModuleType(_OBJECT_DETECTION, "No torchvision or OpenCV.")


@contextmanager
def _hashable_byte_encoder() -> Iterator[None]:
    original: Any = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        if cls and (cls.__module__, cls.__name__) == (_VAR_MODEL, "ByteEncoder"):
            options["unsafe_hash"] = True
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent is absent
        return False


def _can_import(*modules: str) -> bool:
    try:
        return all(map(import_module, modules))
    except (ImportError, AttributeError, OSError, RuntimeError, Warning):  # absent, or broken
        return False
