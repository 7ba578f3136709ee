"""An evaluation on several targets as one self-contained page: no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from i2e_deploy.errors import MissingDependency
from i2e_deploy.files import replacing
from i2e_deploy.reporting.rightness import rightness
from i2e_deploy.reporting.tables import layers_of, quality_head, quality_of, scaled
from i2e_deploy.requirements import install_command
from i2e_deploy.runtime.evaluation import Evaluation


def load_figure(costs: Mapping[str, Any] | None) -> str:
    """The picture of `costs.loads`, empty where there are none or matplotlib is absent: the table says the same."""
    if costs is None or not costs["loads"] or find_spec("matplotlib") is None:
        return ""
    from i2e_deploy.reporting.figures import loads

    return loads(costs["loads"])


def page_environment() -> Any:
    """The templates of this package, and their filters.

    Raises:
        MissingDependency: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader
    except ModuleNotFoundError as error:
        raise MissingDependency("jinja2", "the HTML report", install_command("jinja2", "matplotlib")) from error
    loader = PackageLoader("i2e_deploy.reporting", ".")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"scaled": scaled, "quality_head": quality_head, "quality_of": quality_of}
    return environment


def costs_context(costs: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `costs.html.j2` needs: estimates (`Costs.to_dict`), their picture, and every source once."""
    if costs is None:
        return {"costs": None, "load_figure": "", "sources": []}
    named = [source for row in costs["figures"] for source in row["sources"]]
    named += [row["source"] for row in costs["loads"]]
    return {"costs": costs, "load_figure": load_figure(costs), "sources": list(dict.fromkeys(named))}


def write_evaluation(evaluation: Evaluation, path: Path | str) -> None:
    """Render `evaluation` to `path`.

    Raises:
        InputError: the folder does not exist.
        MissingDependency: jinja2 is not installed.
    """
    data = evaluation.to_dict()
    page = (
        page_environment()
        .get_template("evaluation.html.j2")
        .render(data=data, layers=layers_of(data), rightness=rightness(data), **costs_context(data["estimate"]))
    )
    with replacing(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")
