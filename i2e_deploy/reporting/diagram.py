"""The network on the chip as one SVG: a box a layer, with what it is, its shape and its cores; no plot library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from i2e_deploy.text import LayerLine, cut, shape_text

#: Layers that are drawn, at most: of more the first and the last.
MOST = 40
WIDTH, BOX, GAP = 560, 46, 16
#: Characters that fit in a box, beside the shape.
LONGEST_NAME, LONGEST_KIND = 40, 62


def network_diagram(
    input_shape: Sequence[int], layers: Sequence[LayerLine], placement: Sequence[Mapping[str, Any]]
) -> str:
    """Boxes from top to bottom, the fullest memory of a layer's cores as a bar along its lower edge.

    Args:
        input_shape: of one frame.
        layers: in network order.
        placement: as `CheckReport.to_dict` has it; a layer may have several cores, or none.
    """
    slots: dict[str, list[Mapping[str, Any]]] = {}
    for slot in placement:
        slots.setdefault(slot["layer"], []).append(slot)
    boxes = [_box("input", "event frames", shape_text(input_shape), "", 0.0)]
    shown = list(layers) if len(layers) <= MOST else [*layers[: MOST // 2], None, *layers[-MOST // 2 :]]
    for line in shown:
        if line is None:
            boxes.append(_box(f"{len(layers) - MOST} more layers", "", "", "", 0.0))
            continue
        own = slots.get(line.name, [])
        boxes.append(_box(line.name, line.kind, shape_text(line.shape), _cores(own), _fullest(own)))
    rows = [f'<g transform="translate(0 {i * (BOX + GAP)})">{box}</g>' for i, box in enumerate(boxes)]
    rows += [_arrow(i * (BOX + GAP) + BOX) for i in range(len(boxes) - 1)]
    height = len(boxes) * (BOX + GAP) - GAP + 2
    title = f"The network on the chip: {len(layers)} layers"
    return (
        f'<svg class="diagram" viewBox="-1 -1 {WIDTH + 2} {height}" role="img" aria-label="{title}" '
        f'style="max-width: {WIDTH + 2}px; width: 100%">{"".join(rows)}</svg>'
    )


def _box(name: str, kind: str, shape: str, cores: str, fullest: float) -> str:
    """One layer."""
    bar = f'<rect class="fill" x="8" y="{BOX - 6}" width="{(WIDTH - 16) * min(fullest, 1):.1f}" height="3" rx="1.5"/>'
    return (
        f'<rect class="box" width="{WIDTH}" height="{BOX}" rx="7"/>'
        f'<text class="name" x="12" y="18">{escape(cut(name, LONGEST_NAME))}</text>'
        f'<text class="kind" x="12" y="34">{escape(cut(kind, LONGEST_KIND))}</text>'
        f'<text class="name" x="{WIDTH - 12}" y="18" text-anchor="end">{escape(shape)}</text>'
        f'<text class="kind" x="{WIDTH - 12}" y="34" text-anchor="end">{escape(cores)}</text>'
        f"{bar if fullest else ''}"
    )


def _arrow(top: int) -> str:
    """From one box to the next."""
    middle, end = WIDTH // 2, top + GAP - 2
    line = f"M{middle} {top + 2}V{end}"
    return f'<path class="arrow" d="{line}M{middle - 4} {end - 5}L{middle} {end}L{middle + 4} {end - 5}"/>'


def _cores(slots: Sequence[Mapping[str, Any]]) -> str:
    """`core 3`, or `12 cores, 3 to 14`."""
    numbers = sorted({int(slot["core"]) for slot in slots})
    if len(numbers) < 2:
        return f"core {numbers[0]}" if numbers else ""
    return f"{len(numbers):,} cores, {numbers[0]} to {numbers[-1]}"


def _fullest(slots: Sequence[Mapping[str, Any]]) -> float:
    """The largest share of a memory that is used, of any core of a layer."""
    shares = [used / max(1, slot["available"][kind]) for slot in slots for kind, used in slot["used"].items()]
    return max(shares, default=0.0)
