"""The smallest set of changes after which a network fits a chip, and the network with them made.

Smallest: the fewest layers changed in a way that needs training, then the least lost, then the fewest layers split
(which leaves the network as it is, see `split`). Lost is the share of its connections that a layer loses, added up
over all layers, those after the changed ones too. Sets are found by shapes (`fit_search`), then made and checked
for real. Where there are more layers than cores, layers that can be left out go first (`removable`): the other changes
leave their number as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Any

from i2e_deploy.chips.check import CheckReport, Finding
from i2e_deploy.chips.dynapcnn.checks.examine import Asked, examine
from i2e_deploy.chips.dynapcnn.checks.fit_search import Search
from i2e_deploy.chips.dynapcnn.lowering.reshape.change import Change, Step, apply_changes, described
from i2e_deploy.chips.dynapcnn.lowering.reshape.channels import Spikes
from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import removable, weights_of
from i2e_deploy.chips.dynapcnn.lowering.stages import arrange
from i2e_deploy.chips.profile import Profile
from i2e_deploy.errors import CheckFailed, UnsupportedError
from i2e_deploy.network import Network
from i2e_deploy.text import counted, said

#: Sets of changes that are made and checked, and sets of layers to leave out that are looked at.
TRIES = 50
#: Sets of layers to leave out for which further changes are looked for, where more than these must go.
SEARCHES = 5
#: Findings that say that memory or cores do not suffice.
ROOM_RULES = ("cores", "kernel memory", "neuron memory", "bias memory")


@dataclass(frozen=True, eq=False)
class Fitted:
    """A network that fits, and how it came to.

    Args:
        network: fits the chip, with its layers split where `split` is true.
        steps: what was changed, in order; empty where nothing had to be.
        report: its check.
    """

    network: Network
    steps: tuple[Step, ...]
    report: CheckReport

    def __repr__(self) -> str:
        return said(self, repr(self.network), counted(len(self.steps), "change"))

    @property
    def split(self) -> bool:
        """Whether it must be lowered and exported with `split`."""
        return any(step.change.kind == "split" for step in self.steps)

    @property
    def retrain(self) -> bool:
        """Whether it must be trained again."""
        return any(step.change.retrain for step in self.steps)

    @property
    def summary(self) -> str:
        """The changes that need training, in a line."""
        changes = (step.change for step in self.steps if step.change.retrain)
        return "; ".join(f"{c.layer!r}: {c.becomes}" + (f" instead of {c.was}" if c.was else "") for c in changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the network is not part of it."""
        steps = [step.to_dict() for step in self.steps]
        return {"changes": steps, "split": self.split, "retrain": self.retrain}


def make_fit(network: Network, profile: Profile, spikes: Spikes | None = None) -> Fitted:
    """The network with the smallest set of changes found after which it fits.

    Args:
        spikes: of each output channel on frames typical of the use; the most active are then kept, see `channels`.

    Raises:
        CheckFailed: no set of changes that helps was found; says what is in the way.
        UnsupportedError: see `arrange`.
    """
    arrange(network)
    report = examine(network, profile, Asked())
    changes = () if report.fits else smallest_changes(network, profile)
    changed, steps = apply_changes(network, changes, spikes)
    if changes:
        split = any(change.kind == "split" for change in changes)
        report = examine(changed, profile, Asked(split=split))
    if not report.fits:
        raise CheckFailed(_in_the_way(network, report, profile))
    return Fitted(changed, steps, report)


def smallest_changes(network: Network, profile: Profile) -> tuple[Change, ...]:
    """The smallest set of changes found after which every layer has a core; empty when none is, or none is needed.

    It resolves errors of cores, memories and shapes; other errors of a check stay, and changes add none.

    Raises:
        UnsupportedError: see `arrange`.
    """
    for gone in islice(_left_out(network, profile), SEARCHES):
        smaller, _ = apply_changes(network, gone)
        search = Search(smaller, profile)
        for found in islice(search.sets(), TRIES):
            changes = [*gone, *(described(smaller, *pick) for pick in found.picks)]
            changed, _ = apply_changes(network, changes)
            changes += [_split(changed, name) for name in found.splits]
            if _mends(network, changed, found.splits, search, profile):
                return tuple(changes)
    return ()


def proposal(network: Network, profile: Profile) -> str:
    """What would make the network fit, in a line; "" where nothing that can be changed is wrong."""
    changes = smallest_changes(network, profile)
    many = _too_many(network, profile)
    if not changes:
        return many
    text = "; ".join(f"{change.layer!r}: {change}" for change in changes)
    others = _alternatives(network, changes[0], profile) if len(changes) == 1 and not many else []
    by_hand = f"; or, by hand, {', or '.join(others)}" if others else ""
    return (f"{many}; " if many else "") + text + by_hand


def with_proposal(report: CheckReport, network: Network, profile: Profile) -> CheckReport:
    """A check with what would help beside the finding on cores, or as a finding of its own where cores suffice."""
    fix = proposal(network, profile)
    without_core = any(finding.rule == "cores" for finding in report.errors)
    if not fix and not without_core:
        return report
    if not without_core:
        found = Finding("shapes", "", "beyond the limits of a core", "see each layer", "", "info", fix)
        return replace(report, findings=(*report.findings, found))
    fix = fix or "make these layers smaller: fewer channels, smaller kernels, larger strides"
    findings = (replace(finding, fix=fix) if finding.rule == "cores" else finding for finding in report.findings)
    return replace(report, findings=tuple(findings))


def _alternatives(network: Network, chosen: Change, profile: Profile) -> list[str]:
    """Other kinds of changes that suffice where a set changes one layer."""
    search, kinds = Search(network, profile), {chosen.kind: ""}
    for found in search.of_one_layer():
        name, kind, value = found.picks[0]
        if name == chosen.layer and kind not in kinds:
            change = described(network, name, kind, value)
            if _mends(network, apply_changes(network, [change])[0], (), search, profile):
                kinds[kind] = f"{change.becomes} instead of {change.was}" if change.was else change.becomes
    return [text for text in kinds.values() if text]


def _split(network: Network, name: str) -> Change:
    features = len(weights_of(network, name).weight)
    return Change(name, "split", -(-features // 2), f"{features}", "two cores")


def _mends(old: Network, new: Network, splits: Sequence[str], search: Search, profile: Profile) -> bool:
    """Whether a check of the changed network finds no errors but those that no change of shapes resolves."""
    whole = {f"{name}.{part}": name for name in splits for part in "ab"}
    before = {(f.layer, f.rule) for f in examine(old, profile, Asked()).errors}
    after = {(whole.get(f.layer, f.layer), f.rule) for f in examine(new, profile, Asked(split=bool(splits))).errors}
    return after <= {(layer, rule) for layer, rule in before - search.goal if rule not in ROOM_RULES}


def _left_out(network: Network, profile: Profile) -> Iterator[tuple[Change, ...]]:
    """Sets of layers to leave out so that there are as many as cores, fewest weights first; () where they are."""
    count = _excess(network, profile)
    if not count:
        yield ()
        return
    sets = []
    for names in islice(combinations(removable(network), count), TRIES):
        changes = tuple(described(network, name, "remove", 0) for name in names)
        if _possible(network, changes):
            sets.append((sum(weights_of(network, name).weight.size for name in names), changes))
    yield from (changes for _, changes in sorted(sets, key=lambda each: each[0]))


def _possible(network: Network, changes: Sequence[Change]) -> bool:
    try:
        arrange(apply_changes(network, changes)[0])
    except UnsupportedError:
        return False
    return True


def _excess(network: Network, profile: Profile) -> int:
    return max(0, len(arrange(network)[0]) - len(profile.cores))


def _too_many(network: Network, profile: Profile) -> str:
    """Why layers must go, and which can."""
    count = _excess(network, profile)
    if not count:
        return ""
    why = (
        f"{count + len(profile.cores)} layers need as many cores: splitting, fewer channels, smaller kernels and "
        f"pooling earlier leave their number as it is, so leave out {count}"
    )
    names = removable(network)
    if len(names) < count:
        which = f"only {', '.join(map(repr, names))} can be" if names else "none can be"
        return f"{why}; {which} without another shape for what follows: train a shorter network, or use a second chip"
    return f"{why} of {', '.join(map(repr, names))}, after which shapes stay the same"


def _in_the_way(network: Network, report: CheckReport, profile: Profile) -> str:
    errors = " | ".join(map(str, report.errors))
    many = _too_many(network, profile)
    return f"no changes were found that make the network fit {profile.name}: {errors}" + (f"; {many}" if many else "")
