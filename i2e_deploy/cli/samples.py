"""The samples of `evaluate`: by the names in the card of the model, or as their folders and files number them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from i2e_deploy.cli.recordings import NOTHING_SAID, Reading

if TYPE_CHECKING:
    from i2e_deploy.datasets.card import Card
    from i2e_deploy.runtime import Samples

#: Endings of files that hold pictures or shards.
_ARCHIVES = (".parquet", ".tar", ".zip")
#: Steps of a recording where neither the user nor a card says how many.
STEPS = 8


def samples_of(
    data: str, shape: tuple[int, ...], card: Card | None, steps: int | None, limit: int,
    reading: Reading = NOTHING_SAID,
) -> Samples:  # fmt: skip
    """What an evaluation runs on; what was assumed is said on standard error.

    Args:
        data: as on the command line.
        shape: (C, H, W) of the program's input.
        card: of the model's data; None: it has none.
        steps, limit: see `runtime.eval_named.read_named`.
        reading: how recordings are read.

    Raises:
        InputError: nothing there, or data that do not fit the model.
    """
    from i2e_deploy.cli.common import console, progress_bar
    from i2e_deploy.datasets.picture import endings
    from i2e_deploy.files import holds_arrays
    from i2e_deploy.runtime.eval_data import read_samples

    path, say = Path(data), console(stderr=True).print
    recordings = path.is_dir() and not _holds_pictures(path)
    if not recordings:
        reading.refuse(f"{data} is no folder of them")
    packed = path.suffix.lower() in (*_ARCHIVES, *endings()) or holds_arrays(path, "classes", "split")
    if not (packed or path.is_dir()) or (recordings and (card is None or not card.classes)):
        if recordings:
            say("the model names no classes: its outputs are taken for the folders in the order of their names")
        return read_samples(path, shape, steps or (card.steps if card else STEPS), limit, say, reading.read)
    from i2e_deploy.runtime.eval_named import read_named

    with progress_bar("reading", None) as advance:
        return read_named(
            path, shape, card, steps, limit, say, reading.read, lambda done, total: advance(done, f"of {total}")
        )


def _holds_pictures(path: Path) -> bool:
    """Whether a folder holds pictures or shards of them; one without anything that is known counts as recordings."""
    from i2e_deploy.errors import InputError
    from i2e_deploy.training.data.opening import kind_of

    try:
        return kind_of(path) != "recordings"
    except InputError:
        return False
