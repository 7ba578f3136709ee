"""Several processes train as one: the same batches, the same sums, and a training that goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_data import bar_data, small_network, weights_of

from i2e_deploy.errors import InputError
from i2e_deploy.training import Devices, FitConfig, Loss, Optimising, fit, open_devices
from i2e_deploy.training.devices import has_bfloat16

SCRIPT = """
import sys
sys.path[:0] = {paths!r}
import json
from pathlib import Path
from test_devices import CONFIG
from training_data import bar_data, small_network, weights_of
from i2e_deploy.training import fit, open_devices
folder, stop = Path(sys.argv[1]), int(sys.argv[2])
devices = open_devices("cpu", 2)
network, losses = small_network(), []
for result in fit(network, bar_data(21, 11), CONFIG, folder, devices=devices):
    losses.append((result.loss, result.test["accuracy"], result.chip["accuracy"]))
    if result.epoch == stop:
        break
weights = [weight.ravel().tolist() for weight in weights_of(network)]
(folder / f"rank{{devices.rank}}.json").write_text(json.dumps([devices.ranks, losses, weights]))
"""
CONFIG = FitConfig(epochs=3, batch_size=8, chip="speck2f", optimising=Optimising(learning_rate=0.01))


def together(folder: Path, stop: int = 0) -> list[Any]:
    """Train in two processes; what each has found."""
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(SCRIPT.format(paths=[str(Path(__file__).parent), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(folder), str(stop)],
        capture_output=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on(tmp_path: Path) -> None:
    """Over gloo. Both end with the same bits; they differ from one process's in the order of sums alone."""
    pytest.importorskip("lightning_fabric")
    whole = together(tmp_path / "whole")
    assert whole[0][0] == 2
    assert whole[0] == whole[1]
    network = small_network()
    alone = [(r.loss, r.test["accuracy"], r.chip["accuracy"]) for r in fit(network, bar_data(21, 11), CONFIG)]
    losses, weights = whole[0][1], whole[0][2]
    assert [loss for loss, *_ in losses] == pytest.approx([loss for loss, *_ in alone], rel=1e-3)
    for own, other in zip(weights_of(network), weights, strict=True):
        np.testing.assert_allclose(own.ravel(), other, atol=2e-3)
    together(tmp_path / "parts", stop=1)
    parts = together(tmp_path / "parts")
    assert parts[0][1] == losses[1:]
    assert parts[0][2] == weights
    names = ("network.safetensors", "best.safetensors")
    assert all((tmp_path / "parts" / n).read_bytes() == (tmp_path / "whole" / n).read_bytes() for n in names)


@pytest.mark.slow
def test_the_command_trains_in_two_processes_of_its_own_or_of_torchrun(tmp_path: Path) -> None:
    """With the same bits; only the first process writes curves."""
    pytest.importorskip("lightning_fabric")
    drawn = np.random.default_rng(0).integers(0, 2, (24, 3, 2, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "frames.npz", frames=drawn, labels=np.arange(24) % 2)
    script = tmp_path / "command.py"
    script.write_text("from i2e_deploy.cli import main\nmain()\n")
    own = ["-W", "ignore", str(script)]
    torchrun = ["-W", "ignore", "-m", "torch.distributed.run", "--nproc-per-node", "2", str(script)]
    for name, start in (("own", own), ("torchrun", torchrun)):
        command = ["train", str(tmp_path / "frames.npz"), "--chip", "speck2f", "--epochs", "1", "--devices", "cpu:2"]
        command += ["--tensorboard", "--out", str(tmp_path / name)]
        done = subprocess.run([sys.executable, *start, *command], capture_output=True, timeout=500, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.decode().count("epoch  1") == 1
        assert len(list((tmp_path / name / "tensorboard").iterdir())) == 1
    networks = [(tmp_path / name / "network.safetensors").read_bytes() for name in ("own", "torchrun")]
    assert networks[0] == networks[1]


def test_gradients_of_parts_add_up_to_that_of_the_batch() -> None:
    """Also where a batch does not divide evenly: each part weighs its samples by the whole batch."""
    from i2e_deploy.training.batches import parts
    from i2e_deploy.training.bptt import SINABS
    from i2e_deploy.training.loop import _Job
    from i2e_deploy.training.mixing import Mixing

    data, found = bar_data(11), []
    for ranks in (1, 3):
        network = small_network()
        job = _Job(network, SINABS, data, FitConfig(batch_size=11, loss=Loss(activity=0.1)), None, Devices())
        for rank in range(ranks):
            for part in parts(data.train, 11, 0, 0, Mixing(), rank, ranks):
                job.forward(part)[1].backward()  # type: ignore[no-untyped-call]
        found.append([p.grad.numpy() for p in network.parameters() if p.grad is not None])
    assert len(found[0]) == 2
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)  # the excess of activity is of each part's own mean


def test_bfloat16_trains_and_keeps_weights_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2e_deploy.training.devices.cpu_flags", lambda: frozenset({"avx2", "amx_bf16"}))
    network = small_network()
    results = list(fit(network, bar_data(64, 30), FitConfig(epochs=4, batch_size=8, precision="bfloat16")))
    assert results[-1].test["accuracy"] > 0.8
    assert {weight.dtype for weight in weights_of(network)} == {np.dtype(np.float32)}


def test_bfloat16_is_refused_on_a_cpu_that_imitates_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("i2e_deploy.training.devices.cpu_flags", lambda: frozenset({"avx2", "avx512f"}))
    with pytest.raises(InputError, match=r"this CPU has no instructions for it .*: take float32, or a GPU"):
        next(fit(small_network(), bar_data(8, 4), FitConfig(precision="bfloat16"), tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    Devices().check("float32")
    Devices(torch.device("cuda")).check("bfloat16")
    assert has_bfloat16(frozenset())  # no x86, or no Linux: nothing is known


def test_devices_that_are_not_there_are_refused() -> None:
    assert open_devices("cpu").device == torch.device("cpu")
    with pytest.raises(InputError, match="devices 'tpu': choose one of auto, cpu, gpu"):
        open_devices("tpu")
    with pytest.raises(InputError, match="0 devices: give at least 1"):
        open_devices("cpu", 0)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no GPU is seen by torch"):
            open_devices("gpu")
