"""A bundle's README.md as Hugging Face shows it: what it is, how exact, how good, and how to run it.

The folder of the bundle is then a model repository as it is: `hf upload USER/NAME BUNDLE`. The metadata follow
https://huggingface.co/docs/hub/model-cards (`model-index`: tasks, data sets, metrics).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i2e_deploy.bundle import Bundle, Verification, read_evaluation, verify
from i2e_deploy.bundle.bundle import README
from i2e_deploy.errors import FileFormatError, I2EDeployError, InputError
from i2e_deploy.files import replacing
from i2e_deploy.reporting.front_matter import cell, page, plain, table
from i2e_deploy.version import __version__

#: What Hugging Face calls a licence that nobody stated.
UNKNOWN = "unknown"


def write_model_card(bundle: Bundle, license: str = UNKNOWN, path: Path | str | None = None) -> Path:  # noqa: A002
    """Write the card, default `README.md` in the bundle, and return its path.

    Args:
        license: SPDX identifier in lower case, as Hugging Face has them, e.g. `apache-2.0`.

    Raises:
        InputError: the licence is no identifier, or the folder cannot be written.
        FileFormatError: the bundle or its evaluation is damaged.
    """
    path = Path(path or bundle.path / README)
    try:
        text = model_card(bundle, license)
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        if isinstance(error, I2EDeployError):
            raise
        raise FileFormatError(
            f"{bundle.path} does not hold what a card needs: {type(error).__name__} at {error}"
        ) from error
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def model_card(bundle: Bundle, license: str = UNKNOWN) -> str:  # noqa: A002
    """The text of the card; the golden vectors are verified for it."""
    check_license(license)
    found, verification = read_evaluation(bundle), verify(bundle)
    profile = bundle.chip.profile
    name = plain(bundle.path.resolve().name)
    metadata: dict[str, Any] = {
        "license": license,
        "library_name": "i2e-deploy",
        "tags": ["neuromorphic", "spiking-neural-network", "event-camera", profile.name],
    }
    if found is not None and (results := _results(found)):
        metadata["pipeline_tag"] = results[0]["task"]["type"]
        metadata["model-index"] = [{"name": name, "results": results}]
    body = [
        f"# {cell(name)}: a spiking network as integers for {cell(profile.title)}",
        _what(bundle),
        "## How exact",
        _exactness(bundle, verification),
        *(() if found is None else ("## How good", _goodness(found))),
        "## Does it fit",
        _fit(bundle),
        "## Run it",
        _run(bundle),
        "## Where it comes from",
        _provenance(bundle),
    ]
    return page(metadata, "\n\n".join(body))


def check_license(license: str) -> None:  # noqa: A002
    """Raise InputError unless it is a word that Hugging Face can show."""
    if not license or not all(c.isalnum() or c in "-.+" for c in license) or license != license.lower():
        raise InputError(
            f"--license is {license!r}: give an identifier in lower case, e.g. apache-2.0, mit or cc-by-4.0"
        )


def _results(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An entry of `model-index` for the first target with labels, with a metric a target."""
    how, metrics, task = plain(found["semantics"]), [], "image-classification"
    for target, row in found["result"]["targets"].items():
        where = f"on {plain(target)}, {how}"
        if row.get("accuracy") is not None:
            metrics.append({"type": "accuracy", "value": row["accuracy"], "name": f"accuracy {where}"})
        for name in ("rmse", "mae", "r2") if row.get("values") else ():
            task, value = "other", row["values"][name]
            if value is not None:
                metrics.append({"type": name, "value": value, "name": f"{name.upper()} {where}"})
    if not metrics:
        return []
    data = plain(found["data"])
    return [
        {
            "task": {"type": task},
            "dataset": {"type": "".join(c if c.isalnum() else "-" for c in data).lower() or "own", "name": data},
            "metrics": metrics,
        }
    ]


def _what(bundle: Bundle) -> str:
    lines = [(line.name, line.kind, "x".join(map(str, line.shape)), f"{line.parameters:,}") for line in
             bundle.program.layer_lines()]  # fmt: skip
    shape = ", ".join(map(str, bundle.program.input_shape))
    step = "not stated" if bundle.step_us is None else f"{bundle.step_us:,} us"
    return (
        f"Event frames `[B, T, {shape}]` go in, channel 0 is OFF, a step lasts {step}; "
        f"decisions are read as {cell(bundle.program.deciding.describe())}.\n\n"
        + table(("layer", "what it is", "output", "parameters"), list(lines))
    )


def _exactness(bundle: Bundle, verification: Verification) -> str:
    profile = bundle.chip.profile
    again = "gives every one again" if verification.exact else "does NOT give them again"
    silicon = "It was not run on a chip." if not bundle.manifest.get("verified_on_silicon") else "It was run on a chip."
    return (
        f"The golden vectors ({verification.samples} samples, {verification.steps} steps, {verification.values:,} "
        f"values) come from the slow reference; the fast engine {again}. {cell(profile.exact)} {silicon}\n\n"
        f"Not exact, or not known: {cell(profile.open)}"
    )


def _goodness(found: Mapping[str, Any]) -> str:
    rows = []
    for target, row in found["result"]["targets"].items():
        for figure, value in quality(row):
            rows.append((target, figure, value))
    samples = found["result"]["samples"]
    head = f"{samples:,} samples of {cell(found['data'])}, simulator in semantics {cell(found['semantics'])}.\n\n"
    return head + table(("target", "figure", "value"), rows) if rows else head + "The samples have no labels.\n"


def quality(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How right a target is (`TargetResult.to_dict`), as name and text."""
    if (values := row.get("values")) is not None:
        names = {"rmse": "RMSE", "mae": "MAE", "r2": "R2", "smape": "sMAPE"}
        return [(text, f"{values[name]:.6g}") for name, text in names.items() if values[name] is not None]
    if row.get("accuracy") is None:
        return []
    low, high = row["interval95"]
    return [("accuracy", f"{100 * row['accuracy']:.2f} % (95 % interval {100 * low:.2f} to {100 * high:.2f})")]


def _fit(bundle: Bundle) -> str:
    check = bundle.manifest["check"]
    rows = [(slot["layer"], slot["core"], _words(slot)) for slot in check["placement"]]
    verdict = "Yes" if check["fits"] else "No"
    cores = f"{len({row[1] for row in rows})} of {len(bundle.chip.profile.cores)} cores"
    shown = table(("layer", "core", "memory"), rows[:40]) if rows else ""
    more = f"\n{len(rows) - 40:,} more cores are in `manifest.json`.\n" if len(rows) > 40 else ""
    return f"{verdict}: {cores}.\n\n{shown}{more}"


def _words(slot: Mapping[str, Any]) -> str:
    """What a layer takes of its core, by kind of memory."""
    parts = ((kind.replace("_", " "), used, slot["available"][kind]) for kind, used in slot["used"].items())
    return ", ".join(f"{used:,} of {there:,} words of {kind}" for kind, used, there in parts)


def _run(bundle: Bundle) -> str:
    chip = plain(bundle.chip.profile.name)
    return (
        f"With i2e_deploy {__version__} (`pip install .` in a clone of it), FOLDER being the folder of this file:\n\n"
        "```\ni2e-deploy verify FOLDER          # does it compute here what it computed there?\n"
        f"i2e-deploy simulate FOLDER --chip {chip} --input frames.npy --out trace.npz\n"
        "i2e-deploy evaluate FOLDER frames.npz --target simulator --target float\n```"
    )


def _provenance(bundle: Bundle) -> str:
    manifest = bundle.manifest
    rows: list[tuple[object, ...]] = [(f"seed: {key}", value) for key, value in manifest.get("seeds", {}).items()]
    rows += list(manifest.get("notes", {}).items()) + list(manifest.get("versions", {}).items())
    rows += [(name, f"sha256 {file['sha256']}") for name, file in manifest["files"].items()]
    rows.append(("profile", f"{manifest['chip']} {manifest['profile']['version']}, {manifest['profile']['sha256']}"))
    return table(("what", "value"), rows)
