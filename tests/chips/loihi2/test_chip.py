"""Check, placement, estimates, mending, bundle and command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import needs_lava, needs_lava_run
from loihi_nets import draw_frames, draw_network
from numpy.typing import NDArray

from i2e_deploy import bundle
from i2e_deploy.chips import get
from i2e_deploy.chips.loihi2 import write_netx
from i2e_deploy.chips.loihi2.checks.calibration import calibration_findings, headroom
from i2e_deploy.chips.loihi2.checks.partition import Demand, cut, place
from i2e_deploy.chips.loihi2.estimates.costs import dynamic_energy, step_time
from i2e_deploy.chips.loihi2.formats.netx_export import mend
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.reference.lava_weights import lava_dense
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.cli.app import run
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Linear, chain

PROFILE = load_profile("loihi2")


def dense_net(*weights: NDArray[Any], threshold: int = 50) -> BlockNetwork:
    neuron = CubaLif(np.array([1024]), np.array([128]), threshold)
    blocks, source = [], SOURCE
    for i, weight in enumerate(weights):
        synapse = DenseSynapse(np.asarray(weight, np.int64))
        blocks.append(Block(f"d{i}", neuron, (len(weight),), (Connection(source, synapse),)))
        source = f"d{i}"
    return BlockNetwork((weights[0].shape[1],), tuple(blocks))


# Layers as printed by Intel's compiler in lava-dl's tutorials; weight bits are not printed and taken as 4 (YOLO-KP,
# MNIST), as in the trained files (PilotNet: 3 to 5) and as 8 (oxford).
CONV = [  # PilotNet: channels, height, width, taps, bits
    (24, 32, 99, 27, 5), (36, 15, 49, 216, 4), (48, 7, 24, 324, 4), (64, 4, 22, 432, 4), (64, 2, 20, 576, 4),
]  # fmt: skip
FULL = [(100, 2560, 3), (50, 100, 4), (10, 50, 5), (1, 10, 6)]
YOLO = [
    (16, 224, 27), (32, 112, 144), (64, 56, 288), (128, 28, 576), (256, 28, 1152), (256, 14, 2304), (512, 14, 2304),
    (256, 14, 512), (512, 14, 2304), (48, 14, 512),
]  # fmt: skip


def conv(c: int, h: int, w: int, taps: int, bits: int) -> Demand:
    return Demand("conv", (c, h, w), (taps,), (bits,), (False,), (False,))


def full(out: int, given: int, bits: int) -> Demand:
    return Demand("dense", (out,), (given,), (bits,), (True,), (False,))


MAPPINGS = {
    "PilotNet LIF": ([Demand("input", (3, 66, 200)), *(conv(*x) for x in CONV), *(full(*x) for x in FULL)], 74, 0.0),
    "PilotNet SDNN": ([*(conv(*x) for x in CONV), *(full(*x) for x in FULL)], 61, 0.0),
    "YOLO-KP": ([conv(c, s, s, taps, 4) for c, s, taps in YOLO], 574, 0.0),
    "MNIST": ([full(128, 784, 4), full(64, 128, 3), full(10, 64, 4)], 5, 0.0),
    "oxford": ([full(256, 200, 8), full(200, 256, 8)], 5, 0.2),  # the model says 4: one core short
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_the_model_uses_as_many_cores_as_intels_compiler(name: str) -> None:
    """Core counts printed in lava-dl's notebooks `netx/*/run.ipynb` and `benchmark.ipynb`."""
    demands, printed, tolerance = MAPPINGS[name]
    cuts = [cut(demand, PROFILE) for demand in demands]
    total = sum(found.cores for found in cuts if found is not None)
    assert None not in cuts
    assert abs(total - printed) <= tolerance * printed


@needs_lava
def test_the_shipped_pilotnet_is_placed_as_the_compiler_does() -> None:
    from shipped_nets import frames_of

    network, _ = frames_of("pilotnet_lif", 1)
    slots, cuts, unplaced = place(layers_of(network, "chip"), PROFILE)
    assert not unplaced
    assert [found.cores for found in cuts] == [13, 25, 13, 3, 3, 2, 12, 1, 1, 1]
    assert all(slot.used[kind] <= slot.available[kind] for slot in slots for kind in slot.used)


def test_all_findings_at_once() -> None:
    bad = dense_net(np.array([[-64, -64], [-64, -64]]), np.array([[300, -301]]), threshold=200_000)
    report = get("loihi2").check(bad)
    assert not report.fits
    rules = {(f.rule, f.layer) for f in report.findings if f.severity in ("warning", "error")}
    assert {("Lava weights", "d0"), ("weights", "d1"), ("weight grid", "d1"), ("threshold", "d0")} <= rules


def test_a_float_network_is_taken_by_loihi_and_blocks_are_refused_by_speck() -> None:
    floats, integers = chain((4,), {"a": Linear(np.ones((2, 4), np.float32))}), dense_net(np.array([[2, 4]]))
    assert get("loihi2").check(floats).fits
    assert get("loihi2").lower(floats).layer_names == ("a",)
    assert not get("speck2f").check(integers).fits
    with pytest.raises(UnsupportedError):
        get("speck2f").lower(integers)


def test_the_263_corrupted_pairs_are_found_and_mended() -> None:
    """Pairs of even weights in [-256, 254]: Lava changes 263, all of one sign; `mend` repairs them."""
    changed = []
    rng = np.random.default_rng(0)
    for low in range(-256, 255, 2):
        for high in range(low, 255, 2):
            if low == high == 0 or (high > 0 and rng.random() < 0.95):  # no pair with a positive weight is changed
                continue
            weight = np.array([[low, high]])
            (after,), shift = lava_dense(weight)
            if (after != weight << max(shift, 0)).any():
                changed.append((low, high))
    assert len(changed) == 263
    assert all(high <= 0 for _, high in changed)
    for pair in changed[::40]:
        network = dense_net(np.array([pair]), np.array([[6]]))
        mended = mend(network)
        assert mended.added["d0"] == 1
        frames = (np.random.default_rng(0).random((1, 20, 2)) < 0.5).astype(np.int64)
        wanted = LoihiProgram(network).run(frames, "chip", "reference")
        got = LoihiProgram(mended.network).run(frames, "lava", "reference")
        assert np.array_equal(got.states["d0"]["u"][:, :1], wanted.states["d0"]["u"])
        last = wanted.states["d1"]["v"].shape[1]
        assert np.array_equal(got.states["d1"]["v"][:, :last], wanted.states["d1"]["v"])


def test_what_cannot_be_mended_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="odd weights"):
        mend(dense_net(np.array([[255, -1]])))


@pytest.mark.slow
def test_headroom_names_wraps_and_clips() -> None:
    network = dense_net(np.full((2, 400), 254))
    trace = LoihiProgram(network).run(np.ones((1, 30, 400), np.int64))
    bad = {f.rule for f in headroom(trace, PROFILE) if f.severity == "error"}
    assert bad == {"wraps", "saturations"}
    quiet = LoihiProgram(dense_net(np.array([[2, 4]]))).run(np.ones((1, 5, 2), np.int64))
    assert all(f.severity == "ok" for f in headroom(quiet, PROFILE))


def test_calibration_says_what_differs_and_by_how_much() -> None:
    """Lava takes 254 for 255 beside a negative weight; SLAYER starts a bias one step later. Both are counted."""
    frames = (np.random.default_rng(0).random((2, 20, 2)) < 0.3).astype(np.int64)
    quiet, odd = dense_net(np.array([[20, -6]]), threshold=3), dense_net(np.array([[255, -1]]), threshold=254)
    biased = dense_net(np.array([[20, -6]]), threshold=30)
    biased = replace(biased, blocks=(replace(biased.blocks[0], bias=np.array([20])),))
    found = {}
    for name, network in (("quiet", quiet), ("odd", odd), ("biased", biased)):
        findings = calibration_findings(network, frames, PROFILE)
        found[name] = {f.rule: f.value for f in findings if f.severity == "warning"}
        assert {f.rule for f in findings} >= {"peak of u", "peak of v", "wraps", "saturations", "differ on Lava"}

    def differing(network: BlockNetwork, other: BlockNetwork, semantics: str = "chip") -> int:
        expected = LoihiProgram(other).run(frames, semantics, "reference").output
        return int((LoihiProgram(network).run(frames).output != expected).sum())

    assert found["quiet"] == {}
    assert found["odd"] == {"differ on Lava": differing(odd, odd, "lava")}
    assert found["biased"] == {"differ from SLAYER": differing(biased, biased.with_reset(50, 1, staggered=False))}
    assert 0 not in (*found["odd"].values(), *found["biased"].values())


def test_estimates_are_ranges_that_grow_with_work() -> None:
    network = dense_net(np.full((20, 400), 2))
    layers = layers_of(network, "chip")
    traces = [LoihiProgram(network).run((np.arange(400) < n)[None, None].repeat(10, 1).astype(int)) for n in (10, 300)]
    for estimate in (dynamic_energy, step_time):
        few, many = (estimate(trace, layers, PROFILE) for trace in traces)
        assert 0 < few.low < few.high
        assert many.low > few.low
        assert many.high > few.high
    measured = dynamic_energy(traces[0], layers, PROFILE), step_time(traces[0], layers, PROFILE)
    for figure in measured:  # the measured part comes first; neuron updates rest on Loihi 1, and the sum says so
        assert "PilotNet" in figure.sources[0]
        assert "pre-silicon" in figure.sources[1]
        assert figure.certainty in ("inferred", "unverified")
    few = dynamic_energy(traces[0], layers, PROFILE)
    synops, updates = (sum(c.synops for c in traces[0].counts.values()), 20 * 10)
    assert few.low == pytest.approx((synops * 30 + updates * 5.2) / 1000)
    assert few.high == pytest.approx((synops * 60 + updates * 81) / 1000)


def test_frames_are_checked() -> None:
    program = LoihiProgram(dense_net(np.array([[2, 4]])))
    bad: list[tuple[Any, str]] = [
        (np.zeros((1, 2, 3), int), "shape"), (np.zeros((1, 2, 2)), "dtype"), (-np.ones((1, 2, 2), int), "not negative"),
        (np.zeros((0, 2, 2), int), "at least one"), (np.full((1, 1, 2), 2**40), "32 bits"),
    ]  # fmt: skip
    for frames, text in bad:
        with pytest.raises(InputError, match=text):
            program.run(frames)
    with pytest.raises(InputError, match="semantics"):
        program.run(np.zeros((1, 2, 2), int), "event")
    assert program.run(np.zeros((1, 2, 2, 1, 1), int)).output.shape == (1, 2, 1)


@pytest.mark.slow
def test_bundle_and_command_line(tmp_path: Path) -> None:
    """A `.net` file is checked, exported with golden vectors and its netx file, verified and simulated."""
    chip = get("loihi2")
    drawn = (
        n
        for n in map(draw_network, range(200))
        if len(n.input_shape) == 3 and n.blocks[0].connections[0].synapse is None
    )
    network = next(n for n in drawn if chip.check(n).fits)
    file, folder, frames = tmp_path / "a.net", tmp_path / "b", tmp_path / "f.npy"
    write_netx(network, file)
    np.save(frames, draw_frames(network, 0, 2, 10))
    assert run(["check", str(file), "--chip", "loihi2", "--json"]) in (0, 1)
    assert run(["check", str(file), "--chip", "loihi2", "--input", str(frames)]) in (0, 1)
    written = bundle.write(folder, get("loihi2"), network, np.load(frames)[:, :6])
    assert written.manifest["files"].keys() >= {"program.net"}
    assert bundle.verify(bundle.read(folder)).exact
    assert run(["verify", str(folder)]) == 0
    out = tmp_path / "trace.npz"
    for semantics in ("timestep", "chip", "lava"):
        arguments = ["--chip", "loihi2", "--input", str(frames), "--out", str(out), "--semantics", semantics, "--state"]
        assert run(["simulate", str(file), *arguments]) == 0
    trace = LoihiProgram(network).run(np.load(frames), "lava").arrays(state=True)
    saved = np.load(out)
    assert set(saved) == set(trace)
    assert all(np.array_equal(saved[key], value) for key, value in trace.items())


@needs_lava_run
@pytest.mark.slow
def test_verify_on_lava(tmp_path: Path) -> None:
    """Agreement: exact, through a mended file: Lava would have changed these weights."""
    network = dense_net(np.array([[-64, -64, -32], [-64, -2, 0]]), np.array([[6, -4]]), threshold=3)
    frames = (np.random.default_rng(0).random((1, 12, 3)) < 0.5).astype(np.int64)
    written = bundle.write(tmp_path / "b", get("loihi2"), network, frames)
    assert bundle.verify(written, "lava").exact
