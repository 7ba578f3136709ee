"""Random small DYNAP-CNN programs for property tests: integers from the first, any legal geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn import CoreLayer, DynapcnnProgram, Source


@st.composite
def programs(draw: st.DrawFn, layers: int = 3) -> DynapcnnProgram:
    """A graph of up to `layers` cores: chains, branches, merges side by side or added, any pooling."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    cores: list[CoreLayer] = []
    shapes = {"input": shape}
    for index in range(draw(st.integers(1, layers))):
        names = list(shapes)
        source = Source(draw(st.sampled_from(names)), _pool(draw, shapes, names[-1]))
        source = Source(source.layer, _pool(draw, shapes, source.layer))
        cores.append(draw(_core(f"core{index}", (source,), _pooled(shapes, source), generator)))
        shapes[f"core{index}"] = cores[-1].output_shape
    if draw(st.booleans()):
        cores.append(draw(_merging(shapes, generator)))
    return DynapcnnProgram(shape, tuple(cores), (Source(cores[-1].name),))


def _pool(draw: Any, shapes: dict[str, tuple[int, int, int]], name: str) -> tuple[int, int]:
    _, height, width = shapes[name]
    return draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))


def _pooled(shapes: dict[str, tuple[int, int, int]], source: Source) -> tuple[int, int, int]:
    c, h, w = shapes[source.layer]
    return c, h // source.pool[0], w // source.pool[1]


@st.composite
def _merging(draw: st.DrawFn, shapes: dict[str, tuple[int, int, int]], generator: np.random.Generator) -> CoreLayer:
    """A core with two sources, brought to one pixel: the second added, or beside the first."""
    first, second = (draw(st.sampled_from(list(shapes))) for _ in range(2))
    shift = draw(st.sampled_from([0, shapes[first][0]]))
    sources = tuple(Source(name, shapes[name][1:], shifted) for name, shifted in ((first, 0), (second, shift)))
    channels = max(shapes[s.layer][0] + s.feature_shift for s in sources)
    return draw(_core("merge", sources, (channels, 1, 1), generator))


@st.composite
def _core(
    draw: st.DrawFn,
    name: str,
    sources: tuple[Source, ...],
    input_shape: tuple[int, int, int],
    generator: np.random.Generator,
) -> CoreLayer:
    channels, height, width = input_shape
    padding = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    stride = draw(st.sampled_from([1, 2, 3, 4])), draw(st.sampled_from([1, 2, 3, 4]))
    kernel = [draw(st.integers(1, min(4, n + 2 * p))) for n, p in zip((height, width), padding, strict=True)]
    features = draw(st.integers(1, 18))
    largest = draw(st.sampled_from([2, 30, 127]))
    weight = generator.integers(-largest - 1, largest + 1, (features, channels, *kernel)).astype(np.int8)
    out = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip((height, width), padding, kernel, stride, strict=True)]
    return CoreLayer(
        name=name,
        sources=sources,
        weight=weight,
        bias=generator.integers(-128, 128, features).astype(np.int8) if draw(st.booleans()) else None,
        stride=stride,
        padding=padding,
        threshold=draw(st.sampled_from([1, 20, 100, 32700, 32767])),
        min_v=draw(st.sampled_from([0, -1, -100, -32700, -32768])),
        max_spikes=draw(st.sampled_from([None, 1, 2])),
        reset=draw(st.sampled_from(["subtract", "zero"])),
        input_shape=input_shape,
        output_shape=(features, out[0], out[1]),
        decimation=draw(st.sampled_from([1, 1, 1, 2])),
    )


def random_frames(program: DynapcnnProgram, seed: int, samples: int, steps: int) -> NDArray[np.int64]:
    """Counts 0..3, mostly 0: int64 [B, T, C, H, W]."""
    generator = np.random.default_rng(seed)
    shape = (samples, steps, *program.input_shape)
    return generator.integers(1, 4, shape) * (generator.random(shape) < 0.3)


def single_core(**changes: Any) -> DynapcnnProgram:
    """One core, one neuron: weight 10, threshold 20, lower bound -20."""
    values: dict[str, Any] = {
        "name": "core", "sources": (Source("input"),), "weight": np.full((1, 1, 1, 1), 10, np.int8), "bias": None,
        "stride": (1, 1), "padding": (0, 0), "threshold": 20, "min_v": -20, "max_spikes": None, "reset": "subtract",
        "input_shape": (1, 1, 1), "output_shape": (1, 1, 1),
    } | changes  # fmt: skip
    core = CoreLayer(**values)
    return DynapcnnProgram(core.input_shape, (core,), (Source("core"),))
