"""The result of `evaluate` for a bundle's program, kept in the bundle for its report.

It is no part of what was exported: no checksum covers it, and a bundle without it is whole. It names the integers that
it is about, so that it is never shown beside others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i2e_deploy.bundle.bundle import EVALUATION, PROGRAM, Bundle, versions
from i2e_deploy.chips.options import Semantics
from i2e_deploy.errors import FileFormatError
from i2e_deploy.files import check_exists, replacing

FORMAT, FORMAT_VERSION = "i2e-deploy-evaluation", 1
#: Largest evaluation that is read, bytes.
MAX_BYTES = 4 * 2**20


def leave_evaluation(bundle: Bundle, result: Mapping[str, Any], data: str, semantics: Semantics) -> Path:
    """Write `evaluation.json` into the bundle, replacing an earlier one; returns its path.

    Args:
        result: `Evaluation.to_dict()`.
        data: name of the data, for people.
        semantics: of the simulator.
    """
    path = bundle.path / EVALUATION
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "program_sha256": _program_of(bundle),
        "data": data,
        "semantics": semantics,
        "versions": versions(bundle.chip),
        "result": dict(result),
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def read_evaluation(bundle: Bundle) -> dict[str, Any] | None:
    """What `leave_evaluation` wrote; None where nothing was left, or where it is about other integers.

    Raises:
        FileFormatError: the file is damaged, or of a newer version.
    """
    path = bundle.path / EVALUATION
    if not path.exists():
        return None
    check_exists(path, MAX_BYTES)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["format_version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format {content['format']!r} version {content['format_version']!r}")
        if not isinstance(content["result"]["targets"], dict) or not content["result"]["targets"]:
            raise ValueError("no targets")
        same = content["program_sha256"] == _program_of(bundle)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(
            f"{path} is no evaluation ({type(error).__name__} at {error}): run `i2e-deploy evaluate` again or delete it"
        ) from error
    return dict(content) if same else None


def _program_of(bundle: Bundle) -> str:
    return str(bundle.manifest["files"][PROGRAM]["sha256"])
