"""One self-contained page about a bundle: no script, no request to anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from i2e_deploy.bundle import Bundle, Verification, read_evaluation, verify
from i2e_deploy.bundle.bundle import EVALUATION, MANIFEST, REPORT
from i2e_deploy.chips import Finding
from i2e_deploy.chips.check import said_once
from i2e_deploy.chips.options import Injection
from i2e_deploy.chips.rules import Rule, code_of
from i2e_deploy.errors import FileFormatError, MissingDependency
from i2e_deploy.files import replacing
from i2e_deploy.reporting.diagram import network_diagram
from i2e_deploy.reporting.evaluation import costs_context, page_environment
from i2e_deploy.reporting.placement_picture import MANY, placed_layers, placement_svg
from i2e_deploy.reporting.rightness import evaluated_cards, rightness
from i2e_deploy.reporting.tables import kinds_of_memory, layers_of, placement_rows, rule_table
from i2e_deploy.requirements import install_command
from i2e_deploy.text import listed

#: Samples shown as pictures.
SHOWN = 4
#: Duration of a step of golden inputs, us: frames have none of their own.
STEP_US = 1000


def write_report(bundle: Bundle, path: Path | str | None = None, step_us: int | None = None) -> Path:
    """Render the report of a bundle to `path`, default `report.html` inside it; returns the path.

    Power, load and latency are those that `evaluate` left in the bundle, or of the golden inputs.

    Args:
        step_us: of the golden inputs, which are then estimated anew; None: the bundle's own, else 1000, where needed.

    Raises:
        MissingDependency: jinja2 or matplotlib is not installed.
        FileFormatError: the manifest lacks something, or says something that cannot be.
    """
    for package in ("jinja2", "matplotlib"):
        if find_spec(package) is None:
            raise MissingDependency(package, "the HTML report", install_command("jinja2", "matplotlib"))
    from jinja2 import TemplateError

    environment = page_environment()
    where = bundle.path / EVALUATION
    try:
        found = read_evaluation(bundle)
        shown = {} if found is None else {"data": found["result"], "layers": layers_of(found["result"])}
        targets = "" if found is None else environment.get_template("targets.html.j2").render(**shown)
        left = None if found is None or step_us is not None else found["result"].get("estimate")
        costs = _costs(bundle, step_us or bundle.step_us) if left is None else left
        told = environment.get_template("costs.html.j2").render(**costs_context(costs))
        where = bundle.path / MANIFEST
        context = {**_context(bundle, costs), "targets": targets, "found": found, "costs": costs and told}
        if found is not None:
            where = bundle.path / EVALUATION
            context["cards"] = [*evaluated_cards(found["result"]), *context["cards"]]
            context["rightness"] = rightness(found["result"])
        page = environment.get_template("report.html.j2").render(**context).encode()
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError, TemplateError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"{where} does not hold what a report needs: {type(error).__name__} at {error}"
        ) from error
    path = Path(path or bundle.path / REPORT)
    with replacing(path) as temporary:
        temporary.write_bytes(page)
    return path


def _costs(bundle: Bundle, step_us: int | None) -> dict[str, Any] | None:
    """What the golden inputs are expected to cost; with `made_up` where no load that is seen here is one of the use."""
    drawn, golden = "golden inputs" in bundle.manifest["seeds"], bundle.golden
    costs = bundle.chip.costs(bundle.program, golden.given, Injection(step_us=step_us or STEP_US), cores=bundle.cores)
    if costs is None:
        return None
    kind = "random events" if drawn else "the first inputs of the bundle"
    made_up = [*(["random events"] if drawn else []), *([f"steps of {STEP_US} us, which nobody said"] * (not step_us))]
    basis = f"golden inputs ({kind}), {costs.basis}" + ("" if step_us else f"; a step is taken as {STEP_US} us")
    return costs.to_dict() | {"basis": basis, "made_up": " in ".join(made_up)}


def _context(bundle: Bundle, costs: Mapping[str, Any] | None) -> dict[str, Any]:
    manifest, check = bundle.manifest, bundle.manifest["check"]
    evaluation = manifest.get("evaluation") or {}
    verification = verify(bundle)
    return {
        "chip": bundle.chip.profile,
        "manifest": manifest,
        "evaluation": evaluation,
        "verification": verification,
        "costs_made_up": (costs or {}).get("made_up", ""),
        "overloaded": [row["layer"] for row in (costs or {}).get("loads", ()) if row["load"] > 1],
        "cards": _cards(manifest, evaluation, verification),
        "diagram": network_diagram(bundle.program.input_shape, bundle.program.layer_lines(), check["placement"]),
        "figures": _figures(bundle, evaluation, costs),
        "rules": rule_table(check["findings"], check["layers"]),
        "layers": check["layers"],
        "notices": _notices(check["findings"], bundle.chip.rules),
        "placement": placement_rows(check["placement"]),
        "many_cores": _many_cores(bundle, costs),
        "kinds": kinds_of_memory(slot["used"] for slot in check["placement"]),
        "program": bundle.program,
    }


def _many_cores(bundle: Bundle, costs: Mapping[str, Any] | None) -> str:
    """The picture of a placement on more cores than a table shows; empty where a table does."""
    work = {name: row["synops"] for name, row in ((costs or {}).get("activity") or {}).items()}
    layers = placed_layers(bundle.manifest["check"]["placement"], work)
    if sum(layer.cores for layer in layers) <= MANY:
        return ""
    return placement_svg(layers, len(bundle.chip.profile.cores), "Placement on cores (estimate)")


def _notices(findings: Sequence[Mapping[str, Any]], rules: Sequence[Rule]) -> list[tuple[str, str, str]]:
    """What somebody should read: severity, code and text; the worst first, equal ones of several layers once."""
    told = [Finding(**row) for row in findings if row["severity"] in ("warning", "error", "info") and row["fix"]]
    notices = []
    for severity in ("error", "warning", "info"):
        chosen = [finding for finding in told if finding.severity == severity]
        for rule in dict.fromkeys(finding.rule for finding in chosen):
            said = said_once(finding for finding in chosen if finding.rule == rule)
            notices += [(severity, code_of(rule, rules), text) for _, text in said]
    return notices


def _cards(
    manifest: Mapping[str, Any], evaluation: Mapping[str, Any], verified: Verification
) -> list[tuple[str, str, str]]:
    """Headline figures: (value, label, note)."""
    used, cores = sum(layer.cores for layer in placed_layers(manifest["check"]["placement"])), ""
    for finding in manifest["check"]["findings"]:
        if finding["rule"] == "cores":
            cores = f" of {finding['limit']}"
    cards = [(f"{used}{cores}", "cores used", "the network fits" if manifest["check"]["fits"] else "does not fit")]
    if "chip" in evaluation:
        chip = evaluation["chip"]
        low, high = chip["interval95"]
        note = (
            f"95 % interval {100 * low:.1f} to {100 * high:.1f} %, {chip['total']:,} samples of the training's test set"
        )
        cards.insert(0, (f"{100 * chip['accuracy']:.1f} %", "accuracy of the chip's integers", note))
    if "float_accuracy" in evaluation:
        cards.insert(1, (f"{100 * evaluation['float_accuracy']:.1f} %", "accuracy in float", "on the same samples"))
    if "event_rate" in evaluation:
        published = evaluation.get("published_event_rate")
        note = "" if published is None else f"the authors publish {100 * published:.2f} %"
        cards.append((f"{100 * evaluation['event_rate']:.2f} %", "event rate", note))
    note = "fast engine against slow reference, every value"
    if verified.silent:
        note = f"but nothing fires in {listed(verified.silent)}, so that this proves little there"
    cards.append(("exact" if verified.exact else "DIFFERENT", "golden vectors", note))
    return cards


def _figures(bundle: Bundle, evaluation: Mapping[str, Any], costs: Mapping[str, Any] | None) -> dict[str, str]:
    from i2e_deploy.reporting import figures

    golden, names = bundle.golden, bundle.program.layer_names
    drawn = {}
    if golden.images is not None and golden.inputs.shape[2] == 2:
        drawn["events"] = figures.event_frames(golden.images[:SHOWN], golden.inputs[:SHOWN])
    if "chip" in evaluation:
        import numpy as np

        drawn["confusion"] = figures.confusion(np.array(evaluation["chip"]["confusion"]))
        drawn["activity"] = figures.activity(evaluation["chip"]["per_sample"])
    elif costs is not None and costs["activity"]:
        drawn["activity"] = figures.activity(costs["activity"])
    if "event_rate_steps" in evaluation:
        published = evaluation.get("published_event_rate")
        percent = [100 * rate for rate in evaluation["event_rate_steps"]]
        drawn["rates"] = figures.rates(percent, None if published is None else 100 * published)
    drawn["raster"] = figures.raster({name: golden.expected[f"layer{i}"][0] for i, name in enumerate(names)})
    return drawn
