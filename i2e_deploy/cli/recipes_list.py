"""The recipes of every chip as `train --list` shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any


def recipe_rows(chip: str | None) -> list[dict[str, Any]]:
    """`chip`, `name` and `text` of every recipe of a chip, or of all chips that work.

    Raises:
        InputError: no such chip.
    """
    from i2e_deploy.chips.registry import all_chips
    from i2e_deploy.training.sized import recipes_for

    names = [chip] if chip is not None else list(all_chips()[0])
    return [asdict(offer) for name in names for offer in recipes_for(name)]


def print_recipes(chip: str | None, as_json: bool) -> None:
    """A table, or one JSON array.

    Raises:
        InputError: no such chip.
    """
    from rich.table import Column

    from i2e_deploy.cli.common import console, new_table, print_json

    rows = recipe_rows(chip)
    if as_json:
        print_json(rows)
        return
    table = new_table(Column("chip", no_wrap=True), Column("recipe", no_wrap=True), "what it trains")
    for row in rows:
        table.add_row(row["chip"], row["name"], row["text"])
    console(wrap=True).print(table)
