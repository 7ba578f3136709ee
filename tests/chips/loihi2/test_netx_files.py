"""`.net` files: what is written is read back, and no bad file does harm."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network
from netx_files import small_file

from i2e_deploy.chips.loihi2 import read_netx, write_netx
from i2e_deploy.chips.loihi2.formats.program_file import to_tensors
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, I2EDeployError, InputError


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of a convolution and a dense layer."""
    path = tmp_path_factory.mktemp("net") / "valid.net"
    small_file(path)
    return path.read_bytes()


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Agreement: exact, every integer."""
    network = draw_network(seed)
    path = tmp_path_factory.getbasetemp() / "again.net"
    write_netx(network, path)
    again = read_netx(path, input_message_bits=network.input_message_bits)
    assert len(again.blocks) == len(network.blocks)
    renamed, before = _plain(again), _plain(network)
    assert renamed.keys() == before.keys()
    for key, value in before.items():
        assert np.array_equal(renamed[key], value), key
    assert not list(path.parent.glob(".again*"))


def _plain(network: BlockNetwork) -> dict[str, Any]:
    """All arrays and neurons, by position instead of name."""
    found: dict[str, Any] = {}
    for i, block in enumerate(network.blocks):
        found[f"{i}.bias"] = np.zeros(1) if block.bias is None else block.bias
        found[f"{i}.shape"] = block.shape
        found |= {f"{i}.{k}": v for k, v in vars(block.neuron).items() if k != "reset"}
        for j, connection in enumerate(block.connections):
            synapse = vars(connection.synapse) if connection.synapse else {}
            found |= {f"{i}.{j}.{k}": -1 if v is None else v for k, v in synapse.items()}
    return found


def test_a_program_survives_tensors_and_json() -> None:
    import json

    from i2e_deploy.chips import get

    for seed in range(20):
        network = draw_network(seed)
        program = LoihiProgram(network)
        tensors, data = program.to_tensors()
        again = get("loihi2").program(tensors, json.loads(json.dumps(data)))
        frames = draw_frames(network, seed, 1, 8)
        assert np.array_equal(program.run(frames).output, again.run(frames).output)
        assert to_tensors(again.network)[1] == data  # type: ignore[attr-defined]


def _external(file: h5py.File) -> None:
    del file["layer/2/weight"]
    file["layer/2/weight"] = h5py.ExternalLink("/etc/passwd", "/x")


def _soft(file: h5py.File) -> None:
    del file["layer/2/weight"]
    file["layer/2/weight"] = h5py.SoftLink("/layer/0/weight")


def _raw_outside(file: h5py.File) -> None:
    del file["layer/2/weight"]
    file["layer/2"].create_dataset("weight", (5, 64), "f4", external=[("/etc/passwd", 0, 1280)])


def _virtual(file: h5py.File) -> None:
    del file["layer/2/weight"]
    layout = h5py.VirtualLayout((5, 64), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (5, 64))
    file["layer/2"].create_virtual_dataset("weight", layout)


def _gigabytes(file: h5py.File) -> None:
    del file["layer/2/weight"]
    file["layer/2"].create_dataset("weight", (2**20, 2**20), "f4", chunks=(1024, 1024))


def _bomb(file: h5py.File) -> None:
    del file["layer/2/weight"]
    file["layer/2"].create_dataset("weight", (8000, 8000), "u1", data=np.zeros((8000, 8000), "u1"), compression="gzip")


def _unwritten(file: h5py.File) -> None:
    del file["layer/2/weight"]
    file["layer/2"].create_dataset("weight", (5, 64), "f4")


def _cycle(file: h5py.File) -> None:
    file["layer/2/neuron/layer"] = file["layer"]
    del file["layer/2/neuron/type"]


def _replace(path: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]
        if value is not None:
            file[path] = value

    return change


BAD: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "external link": (_external, "ExternalLink"),
    "soft link": (_soft, "SoftLink"),
    "raw data in another file": (_raw_outside, "another file"),
    "virtual data set": (_virtual, "another file"),
    "a terabyte": (_gigabytes, "claims"),
    "a compression bomb": (_bomb, "claims"),
    "never written": (_unwritten, "stores 0"),
    "a group inside itself": (_cycle, "missing"),
    "no weight": (_replace("layer/2/weight", None), "missing"),
    "wrong shape": (_replace("layer/2/weight", np.zeros((5, 63), "f4")), "shape"),
    "text for numbers": (_replace("layer/2/weight", b"weight"), "expected numbers"),
    "numbers for text": (_replace("layer/2/type", 7), "expected one string"),
    "not finite": (_replace("layer/2/weight", np.full((5, 64), np.nan)), "NaN"),
    "too large": (_replace("layer/2/weight", np.full((5, 64), 1e30)), "allowed"),
    "decay out of range": (_replace("layer/2/neuron/iDecay", 5000), "allowed 0..4096"),
    "decays for other channels": (_replace("layer/2/neuron/iDecay", np.zeros(3)), "3 values"),
    "lying convolution": (_replace("layer/0/shape", np.array([4, 8, 2])), "convolution"),
    "negative shape": (_replace("layer/2/shape", np.array([-5])), "allowed 1"),
    "zero stride": (_replace("layer/0/stride", np.array([0, 1])), "stride"),
    "layers with a gap": (_replace("layer/1", None), "expected the numbers"),
    "empty": (_replace("layer", None), "missing"),
    "complex numbers": (_replace("layer/2/weight", np.zeros((5, 64), complex)), "expected numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_clear_error(case: str, valid: bytes, tmp_path: Path) -> None:
    change, text = BAD[case]
    path = tmp_path / "bad.net"
    path.write_bytes(valid)
    with h5py.File(path, "r+") as file:
        change(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((FileFormatError, InputError), match=text) as caught:
        read_netx(path, input_shape=(2, 8, 8))
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_never_do_harm(data: st.DataObject, valid: bytes, tmp_path: Path) -> None:
    """Either a network or one of our errors; nothing else, within bounded memory."""
    changed = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(8, len(valid) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(valid)), st.integers(0, len(valid))))
    path = tmp_path / "flipped.net"
    path.write_bytes(bytes(changed[:end]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(I2EDeployError):
        read_netx(path, input_shape=(2, 8, 8))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_not_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "pointer.net"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(FileFormatError, match="Git LFS"):
        read_netx(path)
    with pytest.raises(FileFormatError, match="no such file"):
        read_netx(tmp_path / "absent.net")
    with pytest.raises(FileFormatError, match="no such file"):
        read_netx(tmp_path)


def test_a_first_convolution_needs_the_input_shape(valid: bytes, tmp_path: Path) -> None:
    path = tmp_path / "valid.net"
    path.write_bytes(valid)
    with pytest.raises(InputError, match="input_shape"):
        read_netx(path)
    assert read_netx(path, input_shape=(2, 8, 8)).blocks[1].shape == (5,)


@pytest.mark.slow
def test_the_input_shape_on_the_command_line(valid: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, frames, out = tmp_path / "valid.net", tmp_path / "frames.npy", tmp_path / "trace.npz"
    path.write_bytes(valid)
    np.save(frames, np.zeros((4, 2, 8, 8), np.uint8))
    given, chip = ["--input-shape", "2,8,8"], ["--chip", "loihi2"]
    assert run(["check", str(path), *chip, *given]) == 0
    assert run(["simulate", str(path), *chip, *given, "--input", str(frames), "--out", str(out)]) == 0
    assert run(["export", str(path), *chip, *given, "--out", str(tmp_path / "bundle")]) == 0
    capsys.readouterr()
    assert run(["check", str(path), *chip]) == 2
    assert "input_shape" in capsys.readouterr().err
    assert run(["check", str(path), *chip, "--input-shape", "2,8"]) == 2
    assert "give C,H,W" in capsys.readouterr().err
    assert run(["check", str(tmp_path / "bundle"), *chip, *given]) == 2
    assert "says itself" in capsys.readouterr().err


def test_what_a_file_says_stays_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and no escape sequence that the terminal would obey."""
    path = tmp_path / "odd.net"
    small_file(path)
    with h5py.File(path, "r+") as file:
        del file["layer/1/type"]
        file["layer/1/type"] = "red\n\x1b[31m"
    assert run(["check", str(path), "--chip", "loihi2", "--input-shape", "2,8,8"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert r"red \x1b[31m" in printed
