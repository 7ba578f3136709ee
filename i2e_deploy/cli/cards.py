"""What `report --card` writes."""

from __future__ import annotations

from pathlib import Path


def write_cards(folder: Path, license: str, as_json: bool) -> None:  # noqa: A002
    """The card of a bundle, or card and Croissant metadata of shards; a licence that nobody stated is named so.

    Raises:
        InputError: the folder is neither.
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.cli.common import console, print_json, working
    from i2e_deploy.reporting.dataset_card import is_shards, write_dataset_card
    from i2e_deploy.reporting.model_card import UNKNOWN, write_model_card

    paths: tuple[Path, ...]
    with working("writing the card"):
        if is_shards(folder):
            paths = write_dataset_card(folder, license or UNKNOWN)
        else:
            paths = (write_model_card(read(folder), license or UNKNOWN),)
    if not license:
        console(stderr=True).print(f"the licence is written as {UNKNOWN!r}: state it with --license, e.g. apache-2.0")
    if as_json:
        print_json({"written": [str(path) for path in paths]})
    else:
        console().print("wrote " + " and ".join(map(str, paths)))
