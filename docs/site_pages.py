"""Pages of the site that are made from the code: every command, every rule, every error, every public name."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

#: Packages whose public names are the Python reference, in the order of the flow.
ROOMS = (
    "conversion",
    "events",
    "datasets",
    "network",
    "training",
    "chips",
    "runtime",
    "bundle",
    "reporting",
    "testing",
)


def on_files(files: Any, config: Any) -> Any:
    """MkDocs' hook: the pages of the reference stand beside those that are written."""
    from mkdocs.structure.files import File

    pages = {"commands": commands, "rules": rules, "errors": errors, "python": python}
    for name, make in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(make()) + "\n"))
    return files


def commands() -> Iterator[str]:
    """Every command with its help, its arguments and its options, from the command line itself."""
    import typer

    from i2e_deploy.cli.app import app

    yield "# Commands\n\nEvery command takes `--help`. Exit codes: 0 done, 1 a check or a comparison failed, 2 bad"
    yield "input, 70 a defect of i2e-deploy, 130 interrupted. With `--json` an error is a line of JSON.\n"
    group: Any = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        yield f"## {name}\n"
        for paragraph in (command.help or "").split("\n\n"):
            text = " ".join(paragraph.split())
            before, example, line = text.partition(": i2e-deploy ")
            yield f"{before}:\n\n```\ni2e-deploy {line}\n```\n" if example else f"{_plain(text)}\n"
        yield "| argument or option | what |\n|---|---|"
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = ", ".join(f"`{text}`" for text in parameter.opts) if parameter.opts else parameter.name
            shown = f"`{parameter.name.upper()}`" if parameter.param_type_name == "argument" else names
            default = parameter.default
            told = (
                f" Default: {default}." if isinstance(default, str | int | float) and default not in ("", False) else ""
            )
            yield f"| {shown} | {_cell(getattr(parameter, 'help', '') or '')}{told} |"
        yield ""


def rules() -> Iterator[str]:
    """Every rule of every check, as `i2e-deploy explain` has it, with the limits of each chip and their sources."""
    from i2e_deploy.chips.registry import all_chips
    from i2e_deploy.chips.rules import load_rules

    chips = all_chips()[0]
    yield "# Rules\n\nEach finding of a check has a code. `i2e-deploy explain CODE` says the same in the shell.\n"
    seen: dict[Any, list[Any]] = {rule: [] for rule in load_rules()}
    for chip in chips.values():
        for rule in chip.rules:
            seen.setdefault(rule, []).append(chip)
    for rule, of in sorted(seen.items(), key=lambda item: item[0].code):
        yield f"## {rule.code}: {', '.join(rule.names)}\n"
        yield f"{_plain(rule.text)} *{', '.join(chip.profile.name for chip in of) or 'every chip'}*\n"
        yield f"What to do: {_plain(rule.mend)}\n"
        limits = [(chip, chip.profile.limits[rule.limit]) for chip in of if rule.limit in chip.profile.limits]
        if limits:
            yield "| chip | limit | certainty | source |\n|---|---|---|---|"
        for chip, limit in limits:
            yield f"| {chip.profile.name} | {limit} {limit.unit} | {limit.certainty} | {_cell(limit.source)} |"
        yield ""


def errors() -> Iterator[str]:
    """Every error that the package raises on purpose, from its docstrings."""
    from i2e_deploy import errors as module

    yield "# Errors\n\nOne line says what is wrong, where, the value, the limit and how to mend it."
    yield "Catch `i2e_deploy.errors.I2EDeployError` for all of them.\n\n| error | exit code | when |\n|---|---:|---|"
    for name in module.__all__:
        kind = getattr(module, name)
        yield f"| `{name}` | {kind.exit_code} | {_cell((kind.__doc__ or '').split(chr(10))[0])} |"


def python() -> Iterator[str]:
    """Every public name of every room, for mkdocstrings."""
    yield "# Python\n\n`import i2e_deploy as i2e` reaches everything here: `i2e.conversion.convert`, and so on.\n"
    for room in ROOMS:
        module = import_module(f"i2e_deploy.{room}")
        yield f"## i2e.{room}\n\n{_plain((module.__doc__ or '').strip().split(chr(10) * 2)[0])}\n"
        for name in sorted(module.__all__):
            found = getattr(module, name)
            home = getattr(found, "__module__", None)
            if home is not None and hasattr(found, "__qualname__") and str(home).startswith("i2e_deploy"):
                yield f"::: {home}.{found.__qualname__}\n    options:\n      heading_level: 3\n"


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")


def _cell(text: str) -> str:
    return " ".join(_plain(text).split()).replace("|", "\\|")
