"""A deployed network on disk: a folder that says what it is, proves it, and runs anywhere.

manifest.json          chip, profile, check, seeds, versions, evaluation, checksum of every other file
network.safetensors    the float network it was lowered from
program.safetensors    the chip's integers; their graph is in the manifest
golden.safetensors     inputs and what the slow reference made of them: every spike and final state
NATIVE ...             files in the chip's own terms, where it has any
evaluation.json        the last result of `evaluate`, by target; written later, so without a checksum
report.html            for people; made from the rest, so without a checksum
README.md              the card that Hugging Face shows; likewise
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.bundle.golden import Golden, golden_tensors, make_golden, read_golden
from i2e_deploy.chips import AnyNetwork, CheckReport, Chip, Program, get, read_model, write_model
from i2e_deploy.chips.base import SPREAD
from i2e_deploy.chips.options import MAX_STEP_US, Injection, Semantics
from i2e_deploy.chips.registry import package_of
from i2e_deploy.chips.trace import Integers
from i2e_deploy.chips.values import Values, unpack_values
from i2e_deploy.datasets.card import Card, card_of
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import Events
from i2e_deploy.files import check_exists, read_tensors, replacing_folder, sha256, write_tensors
from i2e_deploy.text import counted, one_line, record_repr, said

FORMAT = "i2e-deploy-bundle"
FORMAT_VERSION = 2
MANIFEST, NETWORK, PROGRAM, GOLDEN = "manifest.json", "network.safetensors", "program.safetensors", "golden.safetensors"
REPORT, EVALUATION, README = "report.html", "evaluation.json", "README.md"
#: Largest manifest that is read, bytes.
MAX_MANIFEST = 16 * 2**20
#: Packages whose version can change a result.
PACKAGES = ("i2e-deploy", "numpy", "torch", "numba", "sinabs", "lava-nc", "lava-dl", "pillow", "mlxtend")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle read from disk; `manifest` is the parsed file."""

    path: Path
    chip: Chip
    program: Program
    network: AnyNetwork
    golden: Golden
    manifest: Mapping[str, Any]

    def __repr__(self) -> str:
        layers, samples = len(self.program.layer_names), len(self.golden.inputs)
        what = f"{counted(layers, 'layer')} for {self.chip.profile.name}"
        return said(self, repr(str(self.path)), what, counted(samples, "golden sample"))

    @property
    def step_us(self) -> int | None:
        """Duration of a step, microseconds, as it was exported; None: nobody said it."""
        said = self.manifest.get("step_us")
        return said if type(said) is int and 1 <= said <= MAX_STEP_US else None

    @property
    def values(self) -> Values | None:
        """What the outputs of a regression mean; None: they are classes.

        Raises:
            FileFormatError: the manifest holds something else.
        """
        try:
            return None if (held := self.manifest.get("values")) is None else unpack_values(held)
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{self.path / MANIFEST}: its values are damaged ({one_line(error)})") from error

    @property
    def card(self) -> Card | None:
        """Of the data that the network was trained on; None: nobody said it, as in bundles from before cards.

        Raises:
            FileFormatError: damaged, or of a newer version.
        """
        return card_of(self.manifest.get("card"), str(self.path / MANIFEST))

    @property
    def cores(self) -> dict[str, int] | None:
        """The core of every layer, as it was placed; None where layers span several cores, or it is invalid."""
        try:
            placed = [(slot["layer"], slot["core"]) for slot in self.manifest["check"]["placement"]]
        except (LookupError, TypeError):
            return None
        cores = {layer: core for layer, core in placed if isinstance(layer, str) and isinstance(core, int)}
        return cores if len(cores) == len(placed) == len(set(cores.values())) else None


@dataclass(frozen=True)
class Provenance:
    """What else the manifest should tell: seeds, results of an evaluation, free notes."""

    seeds: Mapping[str, int] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = record_repr


def write(
    path: Path | str,
    chip: Chip,
    network: AnyNetwork,
    golden_inputs: Integers | Events,
    images: NDArray[np.uint8] | None = None,
    labels: NDArray[np.int64] | None = None,
    provenance: Provenance | None = None,
    semantics: Semantics = "timestep",
    overwrite: bool = False,
    lowered: tuple[CheckReport, Program] | None = None,
    step_us: int | None = None,
    card: Card | None = None,
    values: Values | None = None,
) -> Bundle:
    """Check, lower and write a network as a bundle; the folder appears whole or not at all.

    Args:
        path: the folder; must not exist unless `overwrite` and it is a bundle.
        golden_inputs: integers [B, T, C, H, W], a few samples; or a recording, which needs `step_us`.
        lowered: the check and the program, where they are not `chip.check(network)` and `chip.lower(network)`.
        step_us: duration of a step, microseconds, on which golden vectors of events, load, latency and energy rest;
            None: not known.
        card: of the data that the network was trained on, for `evaluate`; None: not known.
        values: what the outputs of a regression mean; None: they are classes.

    Raises:
        CheckFailed: the network does not fit the chip.
        UnsupportedError: it cannot be lowered.
        InputError: the folder exists, or the golden inputs do not fit.
    """
    path = Path(path)
    if golden_inputs.dtype.names is not None and step_us is None:
        raise InputError("the golden input is a recording: say how long a step lasts (step_us, --step-us)")
    check_target(path, overwrite)
    report = chip.check(network) if lowered is None else lowered[0]
    report.raise_if_unfit()
    program = chip.lower(network) if lowered is None else lowered[1]
    native = chip.native_files(program, report.placement)
    injection = SPREAD if step_us is None else Injection(step_us=step_us)
    golden = make_golden(program, golden_inputs, images, labels, semantics, injection)
    tensors, graph = program.to_tensors()
    provenance = provenance or Provenance()
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION if golden.about() else 1,  # earlier programs read what is as it was
        "chip": chip.profile.name,
        "profile": {"version": chip.profile.version, "sha256": chip.profile.sha256},
        "verified_on_silicon": False,
        "semantics": semantics,
        **({} if step_us is None else {"step_us": injection.step_us}),
        **({"golden": golden.about()} if golden.about() else {}),
        **({} if card is None else {"card": card.record()}),
        **({} if values is None else {"values": values.pack()}),
        "layers": list(program.layer_names),
        "program": graph,
        "check": report.to_dict(),
        "seeds": dict(provenance.seeds),
        "evaluation": dict(provenance.evaluation),
        "notes": dict(provenance.notes),
        "versions": versions(chip),
    }
    with replacing_folder(path) as folder:
        write_model(network, folder / NETWORK)
        write_tensors(folder / PROGRAM, tensors, {"format": FORMAT})
        write_tensors(folder / GOLDEN, golden_tensors(golden), {"format": FORMAT})
        for name, data in native.items():
            (folder / name).write_bytes(data)
        manifest["files"] = {
            name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
            for name in (NETWORK, PROGRAM, GOLDEN, *native)
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return read(path)


def check_target(path: Path, overwrite: bool) -> None:
    """Raise InputError unless a bundle may be written to `path`: nothing there, or with `overwrite` a bundle."""
    if not path.exists():
        return
    if not overwrite:
        raise InputError(f"{path} exists: choose another folder")
    try:
        listed = {MANIFEST, REPORT, EVALUATION, README, *_read_manifest(path / MANIFEST)["files"]}
    except InputError:
        listed = set()
    strangers = (
        sorted(file.name for file in path.iterdir() if file.name not in listed) if path.is_dir() else [path.name]
    )
    if strangers:
        raise InputError(f"{path} is no bundle, it holds {strangers[0]!r}: choose another folder")


def read(path: Path | str) -> Bundle:
    """Read a bundle; every file is compared with its checksum before it is used.

    Raises:
        InputError: no such folder, or it is no bundle.
        FileFormatError: damaged, changed, or of a newer version.
    """
    path = Path(path)
    if not (path / MANIFEST).is_file():
        raise InputError(f"{path} is no bundle: it has no {MANIFEST}; make one with `i2e-deploy export`")
    manifest = _read_manifest(path / MANIFEST)
    for name in {NETWORK, PROGRAM, GOLDEN, *manifest["files"]}:
        _check_file(path / Path(name).name, manifest)  # the last part alone: a name cannot lead out of the folder
    chip = get(str(manifest["chip"]))
    program = chip.program(read_tensors(path / PROGRAM)[0], manifest["program"])
    golden = read_golden(path / GOLDEN, len(program.layer_names), manifest.get("golden"))
    return Bundle(path, chip, program, read_model(path / NETWORK), golden, manifest)


def versions(chip: Chip) -> dict[str, str]:
    """Versions of what can change a result, the chip's own package included; packages that are absent are left out."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    origin = package_of(chip.profile.name)
    return found if origin is None else found | dict([origin])


def _read_manifest(path: Path) -> dict[str, Any]:
    check_exists(path, MAX_MANIFEST)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise FileFormatError(f"{path} is of format {manifest['format']!r}, not {FORMAT!r}")
        if manifest["format_version"] not in range(1, FORMAT_VERSION + 1):
            raise FileFormatError(
                f"{path} has format version {manifest['format_version']}: this program reads 1 to {FORMAT_VERSION}"
            )
        for key, kind in (("chip", str), ("program", dict), ("files", dict), ("layers", list), ("semantics", str)):
            if not isinstance(manifest[key], kind):
                raise TypeError(key)
    except FileFormatError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} is damaged: {type(error).__name__} at {error}") from error
    return dict(manifest)


def _check_file(path: Path, manifest: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise FileFormatError(f"{path} is missing: the bundle is not whole; export it again")
    entry = manifest["files"].get(path.name)
    if not isinstance(entry, dict) or sha256(path) != entry.get("sha256"):
        raise FileFormatError(f"{path} is not the file that was exported (checksum differs): export the bundle again")
