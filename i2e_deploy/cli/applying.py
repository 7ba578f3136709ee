"""`check --apply`: the network with the smallest set of changes made, in a file, and what the changes did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.chips import AnyNetwork, Chip
    from i2e_deploy.chips.abilities import Fitted
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.datasets.card import Card
    from i2e_deploy.events import Events
    from i2e_deploy.network import Network

#: Kinds of files that are written.
SUFFIXES = (".safetensors", ".nir")


@dataclass(frozen=True)
class Moved:
    """What the changes did on frames, in time steps, before any training.

    Args:
        decisions: samples whose decision is another.
        samples: samples in all.
        spikes: before and after, by the name of the layer; None where it is left out.
    """

    decisions: int
    samples: int
    spikes: dict[str, tuple[int, int | None]]


@dataclass(frozen=True, eq=False)
class Applied:
    """The changed network, its file, and what the changes moved; None without frames."""

    fitted: Fitted
    out: Path
    moved: Moved | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"out": str(self.out), **self.fitted.to_dict()}
        if self.moved is not None:
            spikes = {name: {"before": was, "after": now} for name, (was, now) in self.moved.spikes.items()}
            moved = {"decisions changed": self.moved.decisions, "samples": self.moved.samples, "spikes": spikes}
            data["untrained, on the input"] = moved
        return data

    def print(self, out: Console) -> None:
        """A table of the changes, what they moved, and what to do next."""
        from i2e_deploy.cli.common import new_table

        if not self.fitted.steps:
            out.print(f"it fits as it is: {self.out} is a copy")
            return
        table = new_table("layer", "from", "to", "weights lost", "neurons lost", "train again", title="changes")
        for step in self.fitted.steps:
            lost = (f"{was - now:,} of {was:,}" for was, now in (step.weights, step.neurons))
            change = step.change
            table.add_row(change.layer, change.was, change.becomes, *lost, "yes" if change.retrain else "no")
        out.print(table)
        for step in self.fitted.steps:
            out.print(f"{step.change.layer}: {step.how}")
        if self.moved is not None:
            spikes = (
                f"{name} {was:,} to {'none, left out' if now is None else f'{now:,}'}"
                for name, (was, now) in self.moved.spikes.items()
            )
            out.print(
                f"on the input, in time steps, before training: {self.moved.decisions} of {self.moved.samples} "
                f"decisions changed; spikes: {', '.join(spikes)}"
            )
        todo = ["train it again (network.to_sinabs makes it a module)"] if self.fitted.retrain else []
        todo += ["export it with --split"] if self.fitted.split else []
        out.print(f"wrote {self.out}: {', then '.join(todo)}")


def apply_to_file(
    chip: Chip, network: AnyNetwork, out: Path, given: Integers | Events | None, step_us: int,
    card: Card | None = None,
) -> Applied:  # fmt: skip
    """Make the smallest set of changes after which a network fits, and write the result, whole or not at all.

    Args:
        out: a `.safetensors` file, which keeps the changes as notes, or `.nir`; must not exist.
        given: frames, or a recording, typical of the use; see `FitsItself`.
        step_us: duration of a step of a recording.
        card: of the data that the network was trained on, kept in the file.

    Raises:
        UnsupportedError: a chip that does not fit networks to itself.
        InputError: not the name of such a file.
        CheckFailed: no changes that help were found; nothing is written.
    """
    from i2e_deploy.chips import write_model
    from i2e_deploy.chips.abilities import FitsItself, require
    from i2e_deploy.network import write_nir
    from i2e_deploy.network.file import UNTRAINED

    fits = require(chip, FitsItself, f"--apply {out}")
    if out.suffix not in SUFFIXES:
        raise InputError(f"--apply {out}: give the name of a {' or '.join(SUFFIXES)} file")
    if out.exists():
        raise InputError(f"--apply {out}: it exists; give another name, or remove it")
    frames = None
    if given is not None:
        frames = chip.lower(network).in_steps(given, step_us)
    fitted = fits.make_fit(network, frames)
    moved = None if frames is None else _moved(chip, network, fitted.network, frames)
    if out.suffix == ".nir":
        write_nir(fitted.network, out)
    else:
        write_model(fitted.network, out, {UNTRAINED: fitted.summary} if fitted.retrain else None, card)
    return Applied(fitted, out, moved)


def _moved(chip: Chip, before: AnyNetwork, after: Network, frames: Integers) -> Moved:
    old, new = chip.lower(before).run(frames), chip.lower(after).run(frames)
    now = {name: int(spikes.sum()) for name, spikes in new.spikes.items()}
    spikes = {name: (int(spikes.sum()), now.get(name)) for name, spikes in old.spikes.items()}
    return Moved(int((old.decisions() != new.decisions()).sum()), len(frames), spikes)
