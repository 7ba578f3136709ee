"""The toy chip, which lives outside the package: the contract suite on it, and what only a guest can show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from distributions import TOY_CHIP, put_on_path, register, register_project
from toy_chip.layers import TernaryNeuron
from toy_networks import frames, sized, subject

from i2e_deploy import bundle
from i2e_deploy.chips import get, load_profile, read_model
from i2e_deploy.chips.profile import profile_names
from i2e_deploy.chips.registry import package_of
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.network import Flatten, Linear, Network, chain, to_sinabs, write_nir
from i2e_deploy.network.file import read_network, write_network
from i2e_deploy.testing.chip_contract import ChipContract
from i2e_deploy.testing.contract.commands import assert_done, assert_refused


@pytest.fixture(autouse=True)
def toy_chip(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution as if installed, here and in child processes."""
    put_on_path(monkeypatch, TOY_CHIP, register_project(TOY_CHIP, tmp_path_factory.mktemp("site")))


class TestToyChip(ChipContract):
    subject = subject()


def child(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, which finds the chip by PYTHONPATH alone."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    network = sized(20, 5)
    bundle.write(tmp_path / "bundle", get("toy"), network, frames(network, 0, 2, 4))
    return tmp_path


def test_a_process_of_its_own_finds_it(bundled: Path) -> None:
    """The command line, and `pytest --i2e-bundles`."""
    main = "from i2e_deploy.cli import main; main()"
    ended = child("-c", main, "verify", "bundle", "--json", cwd=bundled)
    assert json.loads(ended.stdout)["exact"] is True, ended.stderr
    options = ("-p", "no:cacheprovider", "--i2e-bundles", "--i2e-target", "simulator", "--i2e-target", "reference")
    ended = child("-m", "pytest", *options, ".", cwd=bundled)
    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr


def test_it_installs_as_any_package(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built as a wheel and installed, its profile and its entry points included."""
    built = child("-m", "build", "--wheel", "--no-isolation", "--outdir", bundled, TOY_CHIP, cwd=bundled)
    assert built.returncode == 0, built.stderr
    (wheel,) = bundled.glob("*.whl")
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check")
    installed = child(*pip, "--target", bundled / "site", wheel, cwd=bundled)
    assert installed.returncode == 0, installed.stderr
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(bundled / "site"), str(Path(__file__).parents[2])]))
    code = "import toy_chip; print(toy_chip.__file__); from i2e_deploy.cli.app import run; run(['verify', 'bundle'])"
    ended = child("-c", code, cwd=bundled)
    assert ended.stdout.startswith(str(bundled / "site")), ended.stderr
    assert "exact" in ended.stdout


def test_without_its_package_everything_says_what_is_missing(bundled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_network(leaky(), bundled / "leaky.safetensors")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    code = (
        "from i2e_deploy.cli.app import run; run(['verify', 'bundle']);"
        "run(['check', 'leaky.safetensors', '--chip', 'speck2f'])"
    )
    said = child("-c", code, cwd=bundled).stderr.splitlines()
    assert said[0].startswith("error: no chip 'toy': choose one of ")
    assert "layers of kind 'TernaryNeuron' are not known: install the package that has them" in said[1]
    assert len(said) == 2


def leaky() -> Network:
    """A network with neurons of the chip's own kind."""
    weight = np.ones((3, 32), np.float32)
    return chain((2, 4, 4), {"flat": Flatten(), "fc": Linear(weight), "own": TernaryNeuron(2, 1)})


def test_other_chips_and_formats_refuse_its_kind_of_layer_by_name(tmp_path: Path) -> None:
    for chip in ("speck2f", "dynapcnn"):
        assert not get(chip).check(leaky()).fits
        with pytest.raises(UnsupportedError, match="layer 'own' is a TernaryNeuron"):
            get(chip).lower(leaky())
    with pytest.raises(UnsupportedError, match="layer 'own' is a TernaryNeuron"):
        to_sinabs(leaky(), 4)
    with pytest.raises(UnsupportedError, match="layer 'own' is a TernaryNeuron"):
        write_nir(leaky(), tmp_path / "network.nir")


def test_its_kind_of_layer_is_read_wherever_the_package_is(tmp_path: Path) -> None:
    write_network(leaky(), tmp_path / "leaky.safetensors")
    neuron = read_network(tmp_path / "leaky.safetensors").layers[-1].op
    assert neuron == TernaryNeuron(2, 1)


def test_a_bundle_names_the_package_of_its_chip(bundled: Path) -> None:
    assert bundle.read(bundled / "bundle").manifest["versions"]["toy-chip"] == "0.1"
    assert package_of("toy") == ("toy-chip", "0.1")
    assert package_of("speck2f") == ("i2e-deploy", version("i2e-deploy"))
    assert package_of("no such chip") is None


def test_its_profile_comes_with_its_package() -> None:
    assert profile_names("toy_chip") == ("toy",)
    assert "toy" not in profile_names()
    assert load_profile("toy", "toy_chip") == get("toy").profile
    with pytest.raises(InputError, match="no hardware profile 'speck2f' in toy_chip: choose one of toy"):
        load_profile("speck2f", "toy_chip")


def test_abilities_that_it_has_not_are_refused_by_name(tmp_path: Path) -> None:
    network, out = tmp_path / "network.safetensors", tmp_path / "out"
    write_network(sized(20, 5), network)
    np.save(tmp_path / "frames.npy", frames(sized(20, 5), 0, 1, 2))
    for line, ability in (
        (("check", network, "--chip", "toy", "--apply", tmp_path / "small.safetensors"), "FitsItself"),
        (("live", network, "--chip", "toy", "--target", "board"), "HasCamera"),
        (("simulate", network, "--chip", "toy", "--input", tmp_path / "frames.npy", "--out", tmp_path / "t.npz",
          "--semantics", "event", "--power-coefficients", tmp_path / "power.json"), "CalibratesPower"),
        (("export", network, "--chip", "toy", "--out", out, "--readout", 3), "readout"),
    ):  # fmt: skip
        assert ability in assert_refused(*line)
    assert not out.exists()


def test_frames_of_a_network_without_images(tmp_path: Path) -> None:
    """[T, N] and [B, T, N] on disk, through every command that takes frames; anything else is refused."""
    network, flat = sized(20, 5, shape=(30,)), tmp_path / "network.safetensors"
    write_network(network, flat)
    given = frames(network, 0, 2, 6)
    np.save(tmp_path / "batch.npy", given)
    np.save(tmp_path / "sample.npy", given[0])
    line = ("simulate", flat, "--chip", "toy", "--out", tmp_path / "t.npz", "--input")
    assert len(assert_done(*line, tmp_path / "batch.npy", "--json").json()["decisions"]) == 2
    assert len(assert_done(*line, tmp_path / "sample.npy", "--json").json()["decisions"]) == 1
    assert_done("check", flat, "--chip", "toy", "--input", tmp_path / "batch.npy")
    assert_done("export", flat, "--chip", "toy", "--input", tmp_path / "batch.npy", "--out", tmp_path / "bundle")
    assert_done("verify", tmp_path / "bundle")
    np.save(tmp_path / "wrong.npy", given[0, 0])
    assert "[T, N] or [B, T, N]" in assert_refused(*line, tmp_path / "wrong.npy")
    np.save(tmp_path / "small.npy", given[..., :-1])
    assert "this program takes [B, T, 30]" in assert_refused(*line, tmp_path / "small.npy")
    assert "(C, H, W)" in assert_refused("live", flat, "--chip", "toy", "--source", "fake://8x8?realtime=0&seconds=0.1")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("no_such_package:Chip", "cannot be made: ModuleNotFoundError: No module named 'no_such_package'"),
        ("toy_chip:NoChip", "cannot be made: AttributeError"),
        ("builtins:str", "is a str, not a Chip"),
    ],
)
def test_a_broken_package_is_named(
    target: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_on_path(monkeypatch, register(tmp_path, "half-done", "0.3", {"i2e_deploy.chips": {"half": target}}))
    with pytest.raises(InputError, match=f"chip 'half' of package half-done 0.3 {text}"):
        get("half")
    assert "half-done 0.3" in assert_refused("profiles", "half")
    assert get("toy").profile.name == "toy"  # the others go on
    assert run(["profiles"]) == 0
    said = capsys.readouterr()
    assert "toy" in said.out
    assert "left out: chip 'half' of package half-done 0.3" in said.err
    with pytest.raises(FileFormatError, match="is no model"):
        read_model(Path(__file__))  # every chip is asked for its kinds of files
