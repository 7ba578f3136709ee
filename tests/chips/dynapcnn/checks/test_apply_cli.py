"""`check --apply`: a file with the changed network that every command reads, or one line that says why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from i2e_deploy import bundle
from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.cli.app import run
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, Op, Pool2d, chain
from i2e_deploy.network.file import UNTRAINED, read_network, read_notes, write_network

Captured = pytest.CaptureFixture[str]
NEURON = IntegrateAndFire(1.0, -1.0)


def network(features: int = 600, size: int = 8, min_v: float = -1.0) -> Network:
    """A layer of so many features between two of 16 and 4."""
    rng = np.random.default_rng(0)

    def conv(out: int, inside: int) -> Conv2d:
        return Conv2d(rng.normal(0.02, 0.2, (out, inside, 3, 3)).astype(np.float32), padding=(1, 1))

    ops: dict[str, Op] = {
        "first": conv(16, 2),
        "n1": IntegrateAndFire(1.0, min_v),
        "wide": conv(features, 16),
        "n2": NEURON,
    }
    weight = rng.normal(0.01, 0.2, (4, features * (size // 2) ** 2)).astype(np.float32)
    return chain(
        (2, size, size), ops | {"pool": Pool2d((2, 2)), "flat": Flatten(), "fc": Linear(weight), "out": NEURON}
    )


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    write_network(network(), tmp_path / "net.safetensors")
    np.save(tmp_path / "frames.npy", (np.random.default_rng(1).random((5, 4, 2, 8, 8)) < 0.2).astype(np.uint8))
    model, out = str(tmp_path / "net.safetensors"), str(tmp_path / "out.safetensors")
    return ["check", model, "--chip", "speck2f", "--apply", out]


@pytest.mark.slow
def test_the_changed_network_is_written_and_every_command_reads_it(
    command: list[str], tmp_path: Path, capsys: Captured
) -> None:
    frames = str(tmp_path / "frames.npy")
    assert run([*command, "--input", frames, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["fits"]
    applied = answer["applied"]
    assert applied["out"] == command[-1]
    assert applied["retrain"]
    kinds = [(row["layer"], row["kind"], row["retrain"]) for row in applied["changes"]]
    assert kinds[0] == ("wide", "channels", True)
    moved = applied["untrained, on the input"]
    changed = read_network(Path(command[-1]))
    chip, given = DynapcnnChip("speck2f"), np.load(frames)
    old, new = chip.lower(network()).run(given), chip.lower(changed).run(given)
    assert moved["samples"] == 5
    assert moved["decisions changed"] == int((old.decisions() != new.decisions()).sum())
    assert moved["spikes"]["wide"] == {"before": int(old.spikes["wide"].sum()), "after": int(new.spikes["wide"].sum())}
    assert moved["spikes"]["wide"]["before"] > moved["spikes"]["wide"]["after"] > 0
    split = ["--split"] if applied["split"] else []
    assert run(["check", command[-1], "--chip", "speck2f", *split]) == 0
    out = str(tmp_path / "trace.npz")
    assert run(["simulate", command[-1], "--chip", "speck2f", "--input", frames, "--out", out]) == 0
    capsys.readouterr()
    assert (
        run(["export", command[-1], "--chip", "speck2f", "--out", str(tmp_path / "b"), "--input", frames, *split]) == 0
    )
    assert "was changed and not trained since: 'wide': use" in capsys.readouterr().err
    written = bundle.read(tmp_path / "b")
    assert "output channels instead of 600" in written.manifest["notes"][UNTRAINED]
    assert bundle.verify(written).exact


def test_the_table_for_people(
    command: list[str], tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(command) == 0
    said = capsys.readouterr().out
    for words in ("weights lost", "train again", "yes", "those with the largest weights in times"):
        assert words in said
    assert f"wrote {command[-1]}: train it again (network.to_sinabs makes it a module)" in said
    assert "\nfits speck2f: 0 errors" in said
    assert UNTRAINED in read_notes(Path(command[-1]))


def test_channels_are_chosen_by_their_spikes_where_frames_are_given(command: list[str], tmp_path: Path) -> None:
    assert run(command) == 0
    by_weights = read_network(Path(command[-1]))
    assert run([*command[:-1], str(tmp_path / "two.safetensors"), "--input", str(tmp_path / "frames.npy")]) == 0
    by_spikes = read_network(tmp_path / "two.safetensors")
    assert isinstance(by_weights, Network)
    assert isinstance(by_spikes, Network)
    one, two = (net.layers[2].op for net in (by_weights, by_spikes))
    assert isinstance(one, Conv2d)
    assert isinstance(two, Conv2d)
    assert one.weight.shape == two.weight.shape
    assert (one.weight != two.weight).any()


def test_a_recording_stands_for_the_use_too(command: list[str], tmp_path: Path, capsys: Captured) -> None:
    from i2e_deploy.events import EVENT_DTYPE
    from i2e_deploy.events.files import write_events

    events = np.zeros(300, EVENT_DTYPE)
    rng = np.random.default_rng(3)
    events["t"] = np.sort(rng.integers(0, 20_000, 300))
    for name, most in (("p", 2), ("x", 8), ("y", 8)):
        events[name] = rng.integers(0, most, 300)
    write_events(tmp_path / "e.npz", events, (8, 8))
    assert run([*command, "--input", str(tmp_path / "e.npz"), "--step-us", "5000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["applied"]["untrained, on the input"]["samples"] == 1


def test_what_fits_is_copied_and_what_only_needs_a_split_stays_as_it_is(
    command: list[str], tmp_path: Path, capsys: Captured
) -> None:
    write_network(network(8), tmp_path / "net.safetensors")
    assert run(command) == 0
    assert "it fits as it is" in capsys.readouterr().out
    assert read_notes(Path(command[-1])) == {}
    write_network(network(280), tmp_path / "net.safetensors")
    out = tmp_path / "split.safetensors"
    assert run([*command[:-1], str(out)]) == 0
    assert f"wrote {out}: export it with --split" in capsys.readouterr().out
    changed = read_network(out)
    assert isinstance(changed, Network)
    for layer, same in zip(network(280).layers, changed.layers, strict=True):
        if isinstance(layer.op, Conv2d | Linear):
            np.testing.assert_array_equal(layer.op.weight, getattr(same.op, "weight"))  # noqa: B009
    assert run(["export", str(out), "--chip", "speck2f", "--split", "--out", str(tmp_path / "b")]) == 0
    assert "not trained since" not in capsys.readouterr().err


def test_a_nir_file_can_be_written(command: list[str], tmp_path: Path) -> None:
    pytest.importorskip("nir")
    from i2e_deploy.network import read_nir

    out = tmp_path / "out.nir"
    assert run([*command[:-1], str(out)]) == 0
    assert read_nir(out).shapes()["out"] == (4,)


def test_errors_are_one_line_and_leave_nothing_behind(command: list[str], tmp_path: Path, capsys: Captured) -> None:
    def refused(arguments: list[str], code: int, words: str) -> None:
        before = sorted(tmp_path.iterdir())
        assert run(arguments) == code
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before

    refused([*command[:3], "loihi2", *command[4:]], 2, "loihi2 does not offer that (FitsItself)")
    refused([*command[:-1], str(tmp_path / "out.txt")], 2, "give the name of a .safetensors or .nir file")
    refused([*command[:-1], str(tmp_path / "none" / "out.safetensors")], 2, "no such folder")
    write_network(network(min_v=0.0), tmp_path / "net.safetensors")
    refused(command, 1, "no changes were found that make the network fit speck2f: layer 'first': lower bound is 0")
    Path(command[-1]).write_text("mine")
    refused(command, 2, "it exists; give another name, or remove it")
    assert Path(command[-1]).read_text() == "mine"
