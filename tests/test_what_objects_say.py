"""What a public object is called in a notebook: one or two lines that say what it is, never its arrays."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loihi_nets import draw_network
from public_surface import is_class, members, public_modules
from tiny_programs import tiny_program
from torch import nn

import i2e_deploy as i2e
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, Op, Pool2d, chain
from i2e_deploy.text import LONGEST, record_repr

NAME = "a_layer_with_the_long_name_that_a_framework_gives_it"
PROGRAM = tiny_program((2, 16, 16))
FRAMES = np.random.default_rng(0).integers(0, 2, (3, 4, *PROGRAM.input_shape)).astype(np.int32)
LABELS = np.zeros(3, np.int64)


def deep_network(layers: int = 60) -> Network:
    """As many layers as no line holds, with long names."""
    weight = np.ones((4, 4, 3, 3), np.float32)
    ops: dict[str, Op] = {}
    for i in range(layers):
        ops |= {f"{NAME}.{i}": Conv2d(weight, padding=(1, 1)), f"{NAME}_neurons.{i}": IntegrateAndFire(1.0, -1.0)}
    ops |= {"flat": Flatten(), "last": Linear(np.ones((10, 4 * 64), np.float32)), "out": IntegrateAndFire(1.0, -1.0)}
    return chain((4, 8, 8), ops)


def deployed(folder: Path) -> list[Any]:
    """A bundle and what one makes on the way to it and from it."""
    network = chain(
        (2, 8, 8),
        {
            "conv": Conv2d(np.full((3, 2, 3, 3), 0.3, np.float32)),
            "conv_neurons": IntegrateAndFire(1.0, -1.0),
            "pool": Pool2d((2, 2), "sum"),
            "flat": Flatten(),
            "last": Linear(np.full((4, 27), 0.2, np.float32)),
            "out": IntegrateAndFire(1.0, -1.0),
        },
    )
    chip = i2e.chips.get("speck2f")
    frames = np.ones((2, 3, 2, 8, 8), np.uint8)
    written = i2e.bundle.write(folder / "bundle", chip, network, frames, labels=np.zeros(2, np.int64))
    report, fitted = chip.check(network), i2e.chips.abilities.require(chip, i2e.chips.abilities.FitsItself, "").make_fit
    session = written.program.session()
    session.step(frames[0, 0])
    return [
        written, written.golden, i2e.bundle.verify(written), report, replace(report, layers=(NAME,) * 99),
        fitted(network), chip.costs(written.program, frames), session, written.program, network, *network.layers,
        *(layer.op for layer in network.layers), chip, chip.profile,
    ]  # fmt: skip


def settings() -> list[Any]:
    """Records of options, with what makes them long."""
    return [
        i2e.chips.Injection("interleaved", 10**9, 2**32 - 1),
        i2e.chips.LayerCounts(10**12, 10**12, 10**12),
        i2e.chips.Answer(NAME, NAME * 9, "none of these", dict.fromkeys(map(str, range(50)), 10**9), 10**9),
        i2e.chips.Measured("synops_rate", NAME * 9, 1 / 3, 1e18, NAME, 10**9, NAME * 9),
        i2e.chips.BoardAnswers("speck2f", NAME, NAME, "2026-11-29", NAME * 9, ()),
        i2e.chips.Power(dict.fromkeys(("io", "ram", "logic", "pixel_digital", "pixel_analog"), 0.000123456789), 1000),
        i2e.chips.dynapcnn.EventFilter("hot_pixel", (15, 15), 65535),
        i2e.chips.dynapcnn.EventOptions("interleaved", 10**9, 2**32 - 1),
        i2e.chips.dynapcnn.Faults(),
        i2e.chips.dynapcnn.Character(),
        i2e.chips.dynapcnn.Readout(65535),
        i2e.chips.dynapcnn.Source(NAME, (4, 4), 1000),
        i2e.chips.dynapcnn.CoreNetwork(PROGRAM.input_shape, PROGRAM.layers * 30, PROGRAM.outputs),
        i2e.chips.loihi2.Delta(2**20),
        i2e.chips.loihi2.SigmaDelta(2**20),
        i2e.chips.loihi2.Sigma(),
        i2e.chips.loihi2.ProgrammableLif(
            np.ones(4096, int), np.ones(4096, int), np.ones(4096, int), "amount", reset_step="next", max_spikes=1000
        ),
        i2e.chips.loihi2.Relay(22, 24, -np.ones(4096, int), np.ones(4096, int)),
        i2e.chips.loihi2.Reset(1000, 1000),
        i2e.chips.loihi2.Resonator("izhikevich", -4096, -4096, 10**6),
        i2e.chips.get("loihi2"),
        *on_truenorth(),
        i2e.chips.Plan(NAME, "sigma_delta", (1000, 1000, 1000), 10**6, (i2e.chips.PlannedLayer(2, 8, 5),) * 60),
        i2e.chips.PlannedLayer(1000, 1000, 16, 8, (7, 7), 1000),
        i2e.chips.Values((1e-9,) * 99, (1e9,) * 99, (NAME,) * 99, NAME),
        i2e.chips.Deciding("state-mean", 2**20, 1000, NAME, "v"),
        *i2e.conversion.saccades(),
        i2e.conversion.first_layer_energy(0.0956),
        *i2e.conversion.PRESETS.values(),
        i2e.conversion.gap.Row(NAME, 1 / 3, (1 / 3, 2 / 3), 1 / 3, (1 / 3, 2 / 3), -1 / 3),
        i2e.datasets.Progress(10**9, 10**9, 10**9),
        i2e.datasets.Resize(224, "imagenet", "bilinear"),
        i2e.datasets.Settings(Fraction(3, 25), i2e.datasets.Resize(224, "imagenet", "bilinear")),
        i2e.events.FrameSpec((1280, 720), (2, 128, 128), (280, 0, 720, 720)),
        i2e.events.StreamSpec(1000, 10**9),
        i2e.events.sources.SourceUri.parse("fake://1280x720?rate=1e6&seconds=10&packet=1000&realtime=0&seed=1"),
        i2e.network.Add(),
        i2e.network.Concat(),
        i2e.network.Conv1d(np.ones((2, 3, 5), np.float32)),
        i2e.network.Delay(np.ones((), np.float32)),
        i2e.network.LeakyIntegrateAndFire(np.full((64, 1, 1), 0.9, np.float32), np.ones((), np.float32)),
        i2e.network.MaxPool2d((2, 2), (2, 2)),
        i2e.network.Reshape((2, 3)),
        i2e.network.Scale(np.ones((), np.float32)),
        i2e.runtime.Samples(FRAMES, LABELS),
        i2e.runtime.Spread("dask", 10**6, "tcp://" + NAME),
        i2e.network.Sensor((4, 4), ((0, 60), (2, 62)), True, True, True, True, "both", True),
        i2e.training.CubaNeurons(),
        i2e.training.Deformation(),
        i2e.training.EpochResult(12, 1.23456789, {"accuracy": 0.987654321}, {"accuracy": 0.987654321}),
        i2e.training.FitConfig(),
        i2e.training.Judgement(torch.zeros(2), np.zeros(9, np.int64), np.zeros(9, np.int64)),
        i2e.training.Devices(),
        i2e.training.FrameSamples(FRAMES, LABELS),
        i2e.training.Loss(),
        i2e.training.Mixing(),
        i2e.training.Optimising(),
        i2e.training.Offer("loihi2", "sigma-delta-medium", "SLAYER, " * 30),
        i2e.training.SlayerConfig(),
        i2e.training.Timing(),
        i2e.training.data.Augmentation(True, 4, 0.5),
        i2e.datasets.Overlap(
            ("a",), ("b",), np.zeros(1, np.int64), np.ones(1), np.ones(1), 0, 0.5, 1.0, np.zeros((3, 2)), ()
        ),
    ]


def on_truenorth() -> list[Any]:
    """A chip, a program and what it is made of."""
    chip = i2e.chips.truenorth.TrueNorthChip("truenorth")
    network = chain((4,), {"fc": Linear(np.ones((3, 4), np.float32)), "out": IntegrateAndFire(1.0, None, 1)})
    program = chip.lower(network)
    counts = program.run(np.ones((1, 2, 4), np.uint8)).counts
    return [chip, program, program.network, program.network.cores, *program.network.layers, *counts.values()]


def results(folder: Path) -> list[Any]:
    """What a run, an evaluation, a live session and a file say."""
    evaluation = i2e.runtime.evaluate(PROGRAM, FRAMES, LABELS, ["simulator", "reference"])
    counted = i2e.runtime.Deployed(PROGRAM), i2e.runtime.Trained(deep_network(8))
    spec = i2e.runtime.LiveSpec(i2e.events.StreamSpec(4, 1000), i2e.events.FrameSpec((16, 16), (2, 16, 16)))
    source = i2e.events.sources.open_source("fake://16x16?seconds=0.01&realtime=0")
    events = i2e.events.empty_events(5)
    i2e.events.write(folder / "x.npz", events, (16, 16))
    blocks = draw_network(3)
    with i2e.events.open(folder / "x.npz") as reader, i2e.runtime.Live(source, PROGRAM, spec) as live:
        pass
    return [
        evaluation, *evaluation.results, *evaluation.agreements, PROGRAM.run(FRAMES), PROGRAM, *PROGRAM.layers, live,
        reader, blocks, i2e.chips.loihi2.LoihiProgram(blocks), deep_network(), *deep_network().layers,
        deep_network().run(np.zeros((1, 1, *deep_network().input_shape))),
        i2e.network.Note("", "read as it is"), i2e.chips.Deciding(),
        i2e.runtime.beside_chip(FRAMES, FRAMES), i2e.runtime.replay_record("leak"),
        *counted, *counted[0].connections, *counted[0].populations,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    folder = tmp_path_factory.mktemp("said")
    return [*deployed(folder), *settings(), *results(folder)]


def own_words() -> Iterator[type]:
    """Public classes whose repr is neither Python's short one, nor torch's, nor bounded by `record_repr`."""
    for module in public_modules():
        for _, value in members(module):
            if not is_class(value) or inspect.isabstract(value) or getattr(value, "_is_protocol", False):
                continue
            if value.__repr__ not in (object.__repr__, record_repr) and not issubclass(value, nn.Module | Exception):
                yield value


def test_every_public_class_has_an_example(examples: list[Any]) -> None:
    shown = {type(example) for example in examples}
    needs_a_board = {i2e.runtime.ChipLive}
    assert {value.__name__ for value in set(own_words()) - shown - needs_a_board - {i2e.chips.IntegerNetwork}} == set()


def test_a_repr_is_short_and_holds_no_array(examples: list[Any]) -> None:
    for example in examples:
        said = repr(example)
        assert len(said) <= LONGEST, said
        assert "\n" not in said
        assert "array(" not in said
        assert type(example).__name__ in said or isinstance(example, Op)


def test_a_record_with_everything_long_stays_short() -> None:
    finding = i2e.chips.Finding("rule" * 99, NAME * 9, "value" * 99, "limit" * 99, "unit", "error", "fix" * 99)
    assert len(repr(finding)) <= LONGEST
    layer = i2e.chips.loihi2.DenseSynapse(np.zeros((2, 3), np.int64))
    assert repr(layer) == "DenseSynapse(weight=int64 [2, 3], delay=None)"


def test_a_summary_has_a_line_a_layer() -> None:
    """Layers are called by what they are; parameters add up."""
    network = deep_network(2)
    title, _, first, *_, last = network.summary().splitlines()
    assert title == "network: input 4x8x8, 7 layers, 2,848 parameters"
    assert first.split("  ")[0] == f"{NAME}.0"
    assert "Conv 4->4 3x3" in first
    assert first.endswith("144")
    assert "IF threshold 1" in last
    title, head, conv, readout = PROGRAM.summary().splitlines()
    assert title == "DynapcnnProgram: input 2x16x16, 2 layers, 825 parameters"
    assert head.split() == ["name", "layer", "output", "parameters"]
    assert "Conv 2->3 3x3, threshold 100" in conv
    assert "of conv pooled 2x2" in readout
    blocks = draw_network(3)
    assert i2e.chips.loihi2.LoihiProgram(blocks).summary().count("\n") == len(blocks.blocks) + 1
    assert blocks.summary().splitlines()[2:] == i2e.chips.loihi2.LoihiProgram(blocks).summary().splitlines()[2:]


def test_a_branch_says_what_feeds_it() -> None:
    weight = np.ones((2, 2, 1, 1), np.float32)
    conv = i2e.network.Layer("a", Conv2d(weight), ("input",))
    both = i2e.network.Layer("sum", i2e.network.Add(), ("a", "input"))
    assert "Add of a, input" in Network((2, 4, 4), (conv, both)).summary()


def test_a_check_prints_its_verdict_then_what_is_wrong_then_the_placement() -> None:
    wide = chain(
        (2, 32, 32),
        {"wide": Conv2d(np.ones((1100, 2, 3, 3), np.float32)), "neurons": IntegrateAndFire(1.0, -1.0)},
    )
    report = i2e.chips.get("speck2f").check(wide)
    lines = str(report).splitlines()
    assert lines[0].startswith(f"does not fit speck2f, 1 layer, {len(report.errors)} error")
    assert [line.split()[0] for line in lines[1 : 1 + len(report.errors)]] == ["error"] * len(report.errors)
    assert str(report.errors[0]) in lines[1]
    fits = str(i2e.chips.get("speck2f").check(i2e.network.chain((2, 8, 8), dict(_small()))))
    assert fits.splitlines()[0].startswith("fits speck2f, 1 layer, 0 errors")
    assert "kernel" in fits
    assert "of 16,384" in fits


def _small() -> Iterator[tuple[str, Op]]:
    yield "conv", Conv2d(np.full((3, 2, 3, 3), 0.3, np.float32))
    yield "neurons", IntegrateAndFire(1.0, -1.0)


def test_results_print_as_text(tmp_path: Path) -> None:
    evaluation = i2e.runtime.evaluate(PROGRAM, FRAMES, LABELS, ["simulator", "reference"])
    right = int((PROGRAM.run(FRAMES).decisions() == 0).sum())
    assert evaluation.accuracy == right / 3
    text = str(evaluation)
    assert "3 samples, semantics timestep" in text
    assert f"{100 * right / 3:.2f} %" in text
    assert "simulator and reference: 3 of 3 decisions equal; every spike equal" in text
    written, golden, verification, *_, costs = deployed(tmp_path)[:7]
    assert str(verification).startswith("exact: ")
    assert f"{verification.values:,} values of 2 samples over 3 steps agree on simulator" in str(verification)
    assert str(costs).startswith("estimate, ")
    assert all(f"{figure.name}: {figure}" in str(costs) for figure in costs.figures)
    changed = replace(golden, expected={**golden.expected, "layer0": golden.expected["layer0"] + 1})
    different = i2e.bundle.verify(replace(written, golden=changed))
    assert str(different).startswith("different on simulator: layer0 ('conv') differs first at step 0")
    assert "\n" not in str(different)
