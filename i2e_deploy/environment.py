"""What this machine has: packages, vendor software, cameras, boards, GPU. Imports none of them."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

from i2e_deploy import numba_cache
from i2e_deploy.lava_shim import INSTALL as LAVA_INSTALL
from i2e_deploy.requirements import install_command

#: The vendor's own package index; the package of that name on the public index only points there.
SAMNA_INSTALL = (
    "pip install --force-reinstall samna --index-url https://gitlab.com/api/v4/projects/27423070/packages/pypi/simple"
)

CORE = ("numpy", "torch", "numba", "safetensors", "h5py", "rich", "typer")
OPTIONAL = ("sinabs", "jinja2", "matplotlib", "pillow", "mlxtend")

#: USB vendor numbers, from the udev rules of neuromorphic-drivers and of samna.
CAMERAS = {"152a": "iniVation", "04b4": "Prophesee (Cypress)", "31f7": "CenturyArks", "1409": "IDS"}
BOARDS = {"337d": "SynSense"}
CAMERA_RULES = "pip install neuromorphic-drivers && sudo neuromorphic-drivers-install-udev-rules"
BOARD_RULES = (
    """echo 'SUBSYSTEM=="usb", ATTR{idVendor}=="337d", MODE="0666"' | sudo tee /etc/udev/rules.d/60-synsense.rules """
    "&& sudo udevadm control --reload-rules"
)


@dataclass(frozen=True)
class Row:
    """One line of the doctor: `status` is ok, absent (optional and missing) or bad (needed, or harmful)."""

    name: str
    status: Literal["ok", "absent", "bad"]
    found: str
    fix: str = ""


def examine(usb: Path = Path("/sys/bus/usb/devices"), dev: Path = Path("/dev")) -> list[Row]:
    """Every line of the doctor, without importing what it looks for."""
    rows = [_python()]
    rows += [_package(name, install_command(name), needed=True) for name in CORE]
    rows += [_package(name, install_command(name)) for name in OPTIONAL]
    rows += [_lava(name) for name in ("lava-nc", "lava-dl")]
    rows += [samna(), _chips(), _numba_cache(), _gpu(dev)]
    rows += [_usb("event camera", CAMERAS, usb, CAMERA_RULES), _usb("neuromorphic board", BOARDS, usb, BOARD_RULES)]
    return rows


def samna() -> Row:
    """Whether `samna` is the real library or the installer of that name, by its files.

    The installer on the public index is one Python file that runs pip when imported; the library has a
    compiled module.
    """
    spec = PathFinder.find_spec("samna")  # by the files on the path, whatever has been imported under that name
    if spec is None or not spec.submodule_search_locations:
        return Row("samna", "absent", "not installed; only boards need it", SAMNA_INSTALL)
    folder = Path(next(iter(spec.submodule_search_locations)))
    version = _version("samna") or "?"
    compiled = [f for f in folder.rglob("*") if f.suffix in (".so", ".pyd", ".dylib")]
    if compiled or any(folder.parent.glob("samna*.so")):
        return Row("samna", "ok", f"{version}, the real library")
    return Row("samna", "absent", f"{version} is the stub of the public index; nothing here imports it", SAMNA_INSTALL)


def _python() -> Row:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    good = sys.version_info >= (3, 10)
    return Row("python", "ok" if good else "bad", found, "" if good else "install Python 3.10 or later")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _package(name: str, install: str, needed: bool = False) -> Row:
    version = _version(name)
    if version is None:
        return Row(name, "bad" if needed else "absent", "not installed", install)
    if name == "numpy" and int(version.split(".")[0]) >= 2 and _version("lava-nc"):
        found = f"{version}: Lava's runtime hangs on some networks with numpy 2"
        return Row(name, "bad", found, "pip install 'numpy<2' (on Python up to 3.12)")
    return Row(name, "ok", version)


def _lava(name: str) -> Row:
    """Installed is not importable: a plain `import lava.lib.dl.slayer` fails wherever the shim mends something."""
    row = _package(name, LAVA_INSTALL)
    if row.status == "ok" and sys.version_info >= (3, 11):
        shim = "on this Python call i2e_deploy.lava_shim.import_lava() before you import it"
        return Row(name, "ok", f"{row.found}; {shim}")
    return row


def _chips() -> Row:
    names = sorted({point.name for point in metadata.entry_points(group="i2e_deploy.chips")})
    if not names:
        return Row("chips", "bad", "no chip is registered", "install i2e-deploy again, from where it came")
    return Row("chips", "ok", ", ".join(names))


def _numba_cache() -> Row:
    """Where compiled kernels are kept; without a place they cannot be imported."""
    name, wanted, home = "numba cache", os.environ.get(numba_cache.VARIABLE), numba_cache.user_cache()
    if numba_cache.TEMPORARY is not None:
        return Row(name, "ok", f"{numba_cache.TEMPORARY}, writable; temporary, as no other place is")
    if wanted and numba_cache.is_writable(os.path.abspath(wanted)):
        return Row(name, "ok", f"{wanted}, writable ({numba_cache.VARIABLE})")
    if wanted:
        return Row(name, "bad", f"{wanted} cannot be written", f"give another {numba_cache.VARIABLE}, or none")
    if numba_cache.source_is_writable():
        return Row(name, "ok", f"{numba_cache.PACKAGE}, writable (__pycache__ beside each file)")
    if numba_cache.is_writable(home):
        return Row(name, "ok", f"{home}, writable (of this user)")
    return Row(name, "bad", f"nothing can be written, not {home} either", f"export {numba_cache.VARIABLE}=FOLDER")


def _gpu(dev: Path) -> Row:
    devices = sorted(d.name for d in dev.glob("nvidia[0-9]*"))
    if not devices:
        return Row("GPU", "absent", "no NVIDIA device; everything runs on the CPU")
    return Row("GPU", "ok", ", ".join(devices))


def _usb(kind: str, vendors: dict[str, str], usb: Path, rules: str) -> Row:
    found = []
    for file in sorted(usb.glob("*/idVendor")):
        vendor = file.read_text().strip().lower()
        if vendor in vendors:
            product = file.with_name("product")
            found.append(f"{vendors[vendor]} {product.read_text().strip() if product.is_file() else vendor}")
    if not found:
        return Row(kind, "absent", "none attached", f"plug one in; if it is, on Linux: {rules}")
    return Row(kind, "ok", ", ".join(found))
