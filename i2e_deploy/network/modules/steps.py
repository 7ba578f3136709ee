"""What a step lasts, where the neurons of a framework say it."""

from __future__ import annotations

from collections.abc import Mapping

from i2e_deploy.network.graph import Note


def step_notes(found: Mapping[float, str]) -> list[Note]:
    """A note of what a step lasts; a warning where neurons do not agree.

    Args:
        found: seconds, each with the name of a layer that says so.
    """
    if len(found) > 1:
        said = " and ".join(f"{own:g} s in layer {name!r}" for own, name in found.items())
        return [Note("", f"a step lasts {said}: each was read with its own", doubtful=True)]
    return [Note("", f"a step lasts {own:g} s, as its neurons say: give frames of that step") for own in found]
