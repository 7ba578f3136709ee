"""A picture of a placement on many cores: a square a core, coloured by layer, by memory and by load; SVG, no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from typing import Any

from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

#: Pixels of a core, cores side by side on a chip, chips side by side, pixels between chips.
CORE, ACROSS, CHIPS, GAP = 7, 12, 4, 8
#: A core of which the top left corner is known.
SQUARE = f"h{CORE - 1}v{CORE - 1}h-{CORE - 1}z"
#: From here on a report has the picture.
MANY = 40
#: Layers in the legend of one column.
ROWS = 16


@dataclass(frozen=True)
class Placed:
    """The cores of a layer: the first, how many, how full the fullest kind of memory is, and its load (0: unknown)."""

    layer: str
    first: int
    cores: int
    memory: float
    load: float = 0.0

    __repr__ = record_repr


def placed_layers(placement: Sequence[Mapping[str, Any]], work: Mapping[str, float] | None = None) -> list[Placed]:
    """The layers of a placement.

    Args:
        placement: slots as `CheckReport.to_dict` has them; of a layer with many equal cores the first and the last may
            stand for all.
        work: of each layer, operations on some input; the load of a core is its share of its layer's.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for slot in placement:
        found.setdefault(slot["layer"], []).append(slot)
    layers = []
    for name, slots in found.items():
        indices = [slot["core"] for slot in slots]
        first, cores = min(indices), max(indices) - min(indices) + 1
        memory = max(
            used / slot["available"][kind] for slot in slots for kind, used in slot["used"].items()
            if slot["available"].get(kind)
        )  # fmt: skip
        layers.append(Placed(name, first, cores, memory, (work or {}).get(name, 0.0) / cores))
    return layers


def placement_svg(layers: Sequence[Placed], cores_of_a_chip: int, title: str = "") -> str:
    """The picture as text: panels for layers, memory and, where it is known, load.

    Args:
        layers: in the order of their cores.
        cores_of_a_chip: squares in a chip's frame.
        title: above it.

    Raises:
        InputError: no layers, or no cores.
    """
    if not layers or cores_of_a_chip < 1:
        raise InputError("there is nothing to draw: give a placement with at least one core")
    chips = ceil(max(layer.first + layer.cores for layer in layers) / cores_of_a_chip)
    wide = min(chips, CHIPS)
    rows = ceil(cores_of_a_chip / ACROSS)
    chip = (ACROSS * CORE + GAP, rows * CORE + GAP)
    size = (max(wide * chip[0], 220), ceil(chips / CHIPS) * chip[1])
    most = max(layer.load for layer in layers)
    heads = ["layers", "memory of a core", *(["load of a core"] if most else [])]
    hues = {layer.layer: f"hsl({360 * i / len(layers):.0f} 65% {45 + 15 * (i % 2)}%)" for i, layer in enumerate(layers)}
    colours: list[Callable[[Placed], str]] = [
        lambda layer: hues[layer.layer], lambda layer: _shade(layer.memory),
        lambda layer: _shade(layer.load / most if most else 0),
    ]  # fmt: skip
    columns = ceil(len(layers) / ROWS)
    legend = 16 + 14 * min(len(layers), ROWS)
    width = max(len(heads) * (size[0] + 16), columns * 230)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{size[1] + 56 + legend}" '
        'font-family="sans-serif" font-size="11" role="img" fill="currentColor">',
        f"<title>{escape(title or 'placement on cores')}</title>",
        f'<text x="0" y="12" font-weight="bold">{escape(title)}</text>',
    ]
    for panel, (head, colour) in enumerate(zip(heads, colours, strict=False)):
        x = panel * (size[0] + 16)
        parts.append(f'<text x="{x}" y="30">{head}{_range(panel, most)}</text>')
        for number in range(chips):
            left, top = x + number % CHIPS * chip[0], 38 + number // CHIPS * chip[1]
            parts.append(
                f'<rect x="{left}" y="{top}" width="{ACROSS * CORE}" height="{rows * CORE}" fill="none" '
                f'stroke="gray" stroke-width="0.5"/>'
            )
        for layer in layers:
            squares = []
            for core in range(layer.first, layer.first + layer.cores):
                number, at = divmod(core, cores_of_a_chip)
                left, top = x + number % CHIPS * chip[0], 38 + number // CHIPS * chip[1]
                squares.append(f"M{left + at % ACROSS * CORE} {top + at // ACROSS * CORE}{SQUARE}")
            parts.append(
                f'<path fill="{colour(layer)}" d="{"".join(squares)}"><title>{escape(_told(layer))}</title></path>'
            )
    for i, layer in enumerate(layers):
        left, top = i // ROWS * 230, size[1] + 52 + i % ROWS * 14
        parts.append(f'<rect x="{left}" y="{top - 8}" width="9" height="9" fill="{hues[layer.layer]}"/>')
        parts.append(f'<text x="{left + 13}" y="{top}">{escape(layer.layer[:28])}, {layer.cores:,}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _told(layer: Placed) -> str:
    load = f", {layer.load:,.0f} operations a core" if layer.load else ""
    return f"{layer.layer}: {layer.cores:,} cores from {layer.first:,}, {layer.memory:.0%} full{load}"


def _range(panel: int, most: float) -> str:
    return ("", ": pale 0, dark full", f": dark {most:,.0f} operations a sample")[panel]


def _shade(share: float) -> str:
    """From pale to dark."""
    return f"hsl(212 70% {92 - 62 * min(1.0, max(0.0, share)):.0f}%)"
