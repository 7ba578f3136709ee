"""A picture of a placement on many cores: a square a core, coloured by layer, by memory and by load; SVG, no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from typing import Any

from i2e_deploy.errors import InputError
from i2e_deploy.text import counted, record_repr

#: Pixels of a core, cores side by side on a chip, chips side by side, pixels between chips, of a chip's number.
CORE, ACROSS, CHIPS, GAP, NUMBER = 7, 12, 4, 8, 11
#: A core of which the top left corner is known.
SQUARE = f"h{CORE - 1}v{CORE - 1}h-{CORE - 1}z"
#: From here on a report has the picture.
MANY = 40
#: Panels side by side, pixels between them; columns of the legend, pixels of one.
PANELS, APART, COLUMNS, LEGEND = 2, 16, 3, 250
#: Letters of a layer's name in the legend.
NAME = 28


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
    most = max(layer.load for layer in layers)
    hues = {layer.layer: f"hsl({360 * i / len(layers):.0f} 65% {45 + 15 * (i % 2)}%)" for i, layer in enumerate(layers)}
    panels: list[tuple[str, Callable[[Placed], str]]] = [
        (f"layers on {counted(chips, 'chip')}", lambda layer: hues[layer.layer]),
        ("memory of a core: pale 0, dark full", lambda layer: _shade(layer.memory)),
    ]
    if most:
        told = f"load of a core: dark {most:,.0f} operations a sample"
        panels.append((told, lambda layer: _shade(layer.load / most)))
    size = _Size(min(chips, CHIPS), ceil(chips / CHIPS), ceil(cores_of_a_chip / ACROSS))
    height = 20 + ceil(len(panels) / PANELS) * size.panel[1]
    parts = [f'<text x="0" y="12" font-weight="bold">{escape(title)}</text>']
    for i, (head, colour) in enumerate(panels):
        left, top = i % PANELS * size.panel[0], 20 + i // PANELS * size.panel[1]
        parts += _panel(layers, (left, top), head, colour, (chips, cores_of_a_chip), size)
    rows = ceil(len(layers) / COLUMNS)
    for i, layer in enumerate(layers):
        left, top = i // rows * LEGEND, height + 10 + i % rows * 14
        parts.append(f'<rect x="{left}" y="{top - 8}" width="9" height="9" fill="{hues[layer.layer]}"/>')
        parts.append(f'<text x="{left + 13}" y="{top}">{escape(_short(layer))}</text>')
    width, height = max(PANELS * size.panel[0] - APART, ceil(len(layers) / rows) * LEGEND), height + 14 * rows + 4
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" class="placement" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" role="img" fill="currentColor">',
        f"<title>{escape(title or 'placement on cores')}</title>", *parts, "</svg>\n",
    ])  # fmt: skip


@dataclass(frozen=True)
class _Size:
    """Chips across and down, and rows of cores on a chip."""

    across: int
    down: int
    rows: int

    @property
    def panel(self) -> tuple[int, int]:
        """Pixels from one panel to the next."""
        return max(self.across * (ACROSS * CORE + GAP), 260) + APART, 18 + self.down * self.chip

    @property
    def chip(self) -> int:
        """Pixels from one row of chips to the next."""
        return NUMBER + self.rows * CORE + GAP

    def corner(self, number: int, left: int, top: int) -> tuple[int, int]:
        """Of a chip, in a panel at left, top."""
        return left + number % CHIPS * (ACROSS * CORE + GAP), top + 18 + NUMBER + number // CHIPS * self.chip


def _panel(
    layers: Sequence[Placed], at: tuple[int, int], head: str, colour: Callable[[Placed], str], chips: tuple[int, int],
    size: _Size,
) -> list[str]:  # fmt: skip
    """One picture of all chips; `chips`: how many, and cores of one."""
    parts = [f'<text x="{at[0]}" y="{at[1] + 11}">{head}</text>']
    for number in range(chips[0]):
        left, top = size.corner(number, *at)
        parts.append(f'<text x="{left}" y="{top - 2}" font-size="8">chip {number}</text>')
        parts.append(
            f'<rect x="{left}" y="{top}" width="{ACROSS * CORE}" height="{size.rows * CORE}" fill="none" '
            'stroke="gray" stroke-width="0.5"/>'
        )
    for layer in layers:
        squares = []
        for core in range(layer.first, layer.first + layer.cores):
            number, place = divmod(core, chips[1])
            left, top = size.corner(number, *at)
            squares.append(f"M{left + place % ACROSS * CORE} {top + place // ACROSS * CORE}{SQUARE}")
        parts.append(
            f'<path fill="{colour(layer)}" d="{"".join(squares)}"><title>{escape(_told(layer))}</title></path>'
        )
    return parts


def _short(layer: Placed) -> str:
    name = layer.layer if len(layer.layer) <= NAME else layer.layer[: NAME - 1] + "…"
    return f"{name}, {counted(layer.cores, 'core')}"


def _told(layer: Placed) -> str:
    load = f", {layer.load:,.0f} operations a core" if layer.load else ""
    return f"{layer.layer}: {layer.cores:,} cores from {layer.first:,}, {layer.memory:.0%} full{load}"


def _shade(share: float) -> str:
    """From pale to dark."""
    return f"hsl(212 70% {92 - 62 * min(1.0, max(0.0, share)):.0f}%)"
