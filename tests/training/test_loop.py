"""The trainer: every figure is what it says, a kill loses nothing, and what does not belong together is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from training_data import SIDE, STEPS, bar_data, bars, same, small_network, values, weights_of

from i2e_deploy.chips import get, read_model
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.network import from_sinabs
from i2e_deploy.training import (
    FitConfig,
    FrameSamples,
    GreyPictures,
    Loss,
    Mixing,
    Optimising,
    data_of,
    fit,
    on_all,
    read_history,
)
from i2e_deploy.training.batches import parts
from i2e_deploy.training.bptt import SINABS, spike_counts
from i2e_deploy.training.checkpoint import load_weights
from i2e_deploy.training.digit_data import digits_as_data
from i2e_deploy.training.recipes import sized_recipe
from i2e_deploy.training.results import result_of
from i2e_deploy.training.starting import network_of, take_weights

CONFIG = FitConfig(epochs=3, batch_size=8, chip="speck2f", optimising=Optimising(learning_rate=0.02))


def test_it_learns_and_reports_what_network_and_chip_decide() -> None:
    network, data = small_network(), bar_data(64, 30)
    results = list(fit(network, data, replace(CONFIG, epochs=4, chip_samples=0)))
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert results[-1].loss < results[0].loss
    assert results[-1].test["accuracy"] > 0.9
    tested = data.test.batch(np.arange(30), None)
    network.eval()
    with torch.no_grad():
        float_right = (
            spike_counts(network, torch.from_numpy(tested.frames)).argmax(1).numpy() == tested.targets
        ).mean()
    program = get("speck2f").lower(from_sinabs(network, (2, SIDE, SIDE), states="zero"))
    assert results[-1].test["accuracy"] == float_right
    assert results[-1].chip["accuracy"] == (program.run(tested.frames).decisions() == tested.targets).mean()
    judged = on_all(network, SINABS, data, CONFIG)
    assert judged.confusion(2).trace() == round(30 * results[-1].chip["accuracy"])
    assert judged.confusion(2).sum() == 30


def test_files_hold_the_last_and_the_best_network(tmp_path: Path) -> None:
    network, data = small_network(), bar_data()
    results = list(fit(network, data, replace(CONFIG, epochs=5), tmp_path))
    assert [result_of(row) for row in read_history(tmp_path / "checkpoint.safetensors")] == results
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [float(row["chip_accuracy"]) for row in rows] == [result.chip["accuracy"] for result in results]
    best = max(results, key=lambda result: (result.chip["accuracy"], -result.epoch))
    assert [result.epoch for result in results if result.best][-1] == best.epoch
    again = small_network(seed=9)
    load_weights(again, tmp_path / "best.safetensors")
    for name, module in (("network", network), ("network_best", again)):
        stored: Any = read_model(tmp_path / f"{name}.safetensors")
        stored_weights = [layer.op.weight for layer in stored.layers if hasattr(layer.op, "weight")]
        trained = [parameter.detach().numpy() for parameter in module.parameters() if parameter.requires_grad]
        assert len(stored_weights) == 2
        assert same([weight.reshape(-1) for weight in stored_weights], [weight.reshape(-1) for weight in trained])


class Killed(BaseException):
    """Ends a training at once, as a signal does."""


class Death:
    """Kills at the `left`-th of these moments: after a batch, before and after a file is put in its place."""

    def __init__(self, left: int, kill: Callable[[], None]) -> None:
        self.left, self.kill, self.replace = left, kill, os.replace

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left < 0:
            self.kill()

    def replacing(self, *names: Any) -> None:
        self()
        self.replace(*names)
        self()


def killed() -> None:
    raise Killed


def train_until(folder: Path, left: int, kill: Callable[[], None]) -> nn.Sequential:
    """Three epochs, unless it is killed before."""
    death, network = Death(left, kill), small_network()
    os.replace = death.replacing  # type: ignore[assignment]
    try:
        list(fit(network, bar_data(), CONFIG, folder, on_batch=death))
    finally:
        os.replace = death.replace
    return network


def compare_with_whole(folder: Path, whole: Path) -> None:
    network = small_network()
    wanted = list(fit(network, bar_data(), CONFIG, whole))
    assert [result_of(row) for row in read_history(folder / "checkpoint.safetensors")] == wanted
    for name in ("best.safetensors", "network.safetensors", "network_best.safetensors"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    again = small_network(seed=9)
    load_weights(again, folder / "checkpoint.safetensors")
    assert same(weights_of(again), weights_of(network))
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in whole.iterdir())


@settings(max_examples=8)
@given(st.lists(st.integers(0, 14), min_size=1, max_size=3))
def test_an_end_at_any_moment_loses_nothing(moments: list[int]) -> None:
    """The files end as those of a training that was never interrupted."""
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        for left in moments:
            with suppress(Killed):
                train_until(Path(one), left, killed)
        train_until(Path(one), 1000, killed)
        compare_with_whole(Path(one), Path(other))


@pytest.mark.slow
def test_a_sigkill_loses_nothing(tmp_path: Path) -> None:
    """As above, without any chance to tidy up: between the networks of the second epoch and its checkpoint."""
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    folder.mkdir()
    whole.mkdir()
    code = (
        f"import os, signal, sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "from pathlib import Path\nfrom test_loop import train_until\n"
        f"train_until(Path({str(folder)!r}), 18, lambda: os.kill(os.getpid(), signal.SIGKILL))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(read_history(folder / "checkpoint.safetensors")) == 1
    assert list(folder.glob(".*.tmp"))  # it was writing
    train_until(folder, 1000, killed)
    compare_with_whole(folder, whole)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    network, data, path = small_network(), bar_data(), tmp_path / "checkpoint.safetensors"
    config = replace(CONFIG, epochs=1)
    list(fit(network, data, config, tmp_path))
    assert list(fit(network, data, config, tmp_path)) == []  # nothing is left to do
    moved = replace(config, seed=5, optimising=replace(config.optimising, learning_rate=0.5))
    with pytest.raises(
        InputError, match=r"seed was 0 and is 5, optimising.learning_rate was 0.02 and is 0.5; .* --restart"
    ):
        list(fit(network, data, moved, tmp_path))
    with pytest.raises(InputError, match=r"data.train was 24 and is 30"):
        list(fit(network, bar_data(30), config, tmp_path))
    with pytest.raises(InputError, match="only one of the two has"):
        load_weights(nn.Linear(2, 2), path)
    with pytest.raises(InputError, match=r"3.weight is \[2, 96\] there and \[3, 96\] here"):
        load_weights(small_network(3), path)
    assert len(list(fit(small_network(), data, moved, tmp_path, restart=True))) == 1
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(FileFormatError, match="whole"):
        list(fit(network, data, config, tmp_path))


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("kind", ["mse", "mae"])
def test_a_regression_reports_its_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: bool, kind: Any
) -> None:
    network = small_network()
    data = data_of(values(bars(40, 1), steps), values(bars(20, 2), steps))
    assert data.classes == ()
    config = replace(CONFIG, epochs=2, loss=Loss(kind, scale=0.2), chip_samples=0)
    results = list(fit(network, data, config, tmp_path))
    tested = data.test.batch(np.arange(20), None)
    program = get("speck2f").lower(from_sinabs(network, (2, SIDE, SIDE), states="zero"))
    output = 0.2 * program.run(tested.frames).output.astype(np.float64)
    error = (output if steps else output.sum(1)) - tested.targets
    assert results[-1].chip["mae"] == pytest.approx(np.abs(error).mean(), abs=1e-6)
    assert results[-1].chip["rmse"] == pytest.approx(np.sqrt(np.square(error).mean()), abs=1e-6)
    assert results[-1].chip["r2"] < 1
    assert set(results[-1].test) == {"mae", "rmse", "r2"}
    np.savez(tmp_path / "test.npz", frames=tested.frames, targets=tested.targets)
    command = ["evaluate", str(tmp_path / "network.safetensors"), str(tmp_path / "test.npz"), "--chip", "speck2f"]
    assert run([*command, "--json"]) == 0  # what a spike is worth is in the file
    told = json.loads(capsys.readouterr().out)
    assert told["targets"]["simulator"]["values"]["rmse"] == pytest.approx(results[-1].chip["rmse"], abs=1e-6)


def test_merged_epochs_train_on_all_steps_as_one_and_are_tested_step_by_step() -> None:
    data = bar_data(40, 20)
    constant = replace(CONFIG, epochs=2, optimising=Optimising(learning_rate=0.02, schedule="constant"))
    summed = replace(data, train=_summed(data.train), test=_summed(data.test), steps=1)
    merged, one = small_network(), small_network()
    first = next(fit(merged, data, replace(constant, merged=0.5)))
    expected = next(fit(one, summed, constant))
    assert same(weights_of(merged), weights_of(one))
    assert (first.loss, first.train) == (expected.loss, expected.train)
    tested = data.test.batch(np.arange(20), None)
    decided = spike_counts(one, torch.from_numpy(tested.frames)).argmax(1).numpy()
    assert first.test["accuracy"] == (decided == tested.targets).mean()

    whole = [small_network() for _ in range(3)]
    for network, share in zip(whole, (0.0, 0.5, 1.0), strict=True):
        list(fit(network, data, replace(constant, merged=share)))
    assert not same(weights_of(whole[0]), weights_of(whole[1]))
    assert not same(weights_of(whole[1]), weights_of(whole[2]))


def test_merged_epochs_are_few_enough_to_end_step_by_step() -> None:
    counts = [FitConfig(epochs=epochs, merged=0.75, chip="speck2f").merged_epochs for epochs in (1, 2, 4, 12)]
    assert counts == [
        0,
        1,
        3,
        9,
    ]
    with pytest.raises(InputError, match=r"merged is 1\.5"):
        FitConfig(merged=1.5)
    data = data_of(values(bars(8, 1), steps=True), values(bars(8, 2), steps=True))
    with pytest.raises(InputError, match="a value for every step"):
        list(fit(small_network(), data, replace(CONFIG, loss=Loss("mse"), merged=1.0)))


def _summed(samples: Any) -> FrameSamples:
    batch = samples.batch(np.arange(len(samples)), None)
    return FrameSamples(batch.frames.sum(1, keepdims=True).astype(np.uint8), batch.targets)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 4), st.integers(0, 9))
def test_all_ranks_together_see_each_batch_once(samples: int, batch_size: int, ranks: int, seed: int) -> None:
    """The same samples in the same global batches, whatever the number of ranks; what stands in has no weight."""

    class Numbers:
        def __len__(self) -> int:
            return samples

        def batch(self, chosen: Any, draw: int | None) -> Any:
            from i2e_deploy.training import Batch

            return Batch(chosen[:, None, None, None, None], chosen)

    def seen(ranks: int) -> list[set[int]]:
        found: list[set[int]] = []
        for rank in range(ranks):
            for part in parts(Numbers(), batch_size, seed, 2, Mixing(), rank, ranks):
                found += [set()] * (part.number + 1 - len(found))
                real = {int(n) for n, w in zip(part.mixed.batch.targets, part.weights, strict=True) if w}
                assert len(part.weights) == len(part.mixed.batch.targets)
                assert not found[part.number] & real
                found[part.number] = found[part.number] | real
                assert part.whole == min(batch_size, samples - part.number * batch_size)
        return found

    assert seen(ranks) == seen(1)
    assert sorted(n for batch in seen(1) for n in batch) == list(range(samples))


def test_pictures_are_drawn_by_number_and_draw_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 14, 14), dtype=np.uint8)
    pictures = GreyPictures(images, np.arange(9))
    whole = pictures.batch(np.arange(9), 5).frames
    for chosen in (np.array([7]), np.array([8, 2, 7])):
        assert np.array_equal(pictures.batch(chosen, 5).frames, whole[chosen])
    assert not np.array_equal(pictures.batch(np.arange(9), 6).frames, whole)


def test_frozen_parts_stay_and_the_rest_moves() -> None:
    network, data = small_network(), bar_data()
    before = weights_of(network)
    list(fit(network, data, replace(CONFIG, epochs=1, optimising=Optimising(freeze=("0",)))))
    after = weights_of(network)
    assert np.array_equal(before[0], after[0])
    assert not same(before, after)
    with pytest.raises(InputError, match=r"nothing to freeze is called 'head': parameters are 0\.weight"):
        list(fit(network, data, replace(CONFIG, optimising=Optimising(freeze=("head",)))))
    with pytest.raises(InputError, match="all of them are frozen"):
        list(fit(small_network(), data, replace(CONFIG, optimising=Optimising(freeze=("0", "3")))))


def test_what_does_not_belong_together_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the network has 3 outputs and the data 2 classes"):
        list(fit(small_network(3), bar_data(), CONFIG, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="loss mse learns values, and the data have 2 classes"):
        list(fit(small_network(), bar_data(), replace(CONFIG, loss=Loss("mse"))))
    with pytest.raises(UnsupportedError, match="layers of no framework that is known"):
        list(fit(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), bar_data(), CONFIG))
    with pytest.raises(InputError, match="no chip 'speck3'"):
        list(fit(small_network(), bar_data(), replace(CONFIG, chip="speck3")))


def test_the_number_of_steps_is_that_of_the_data() -> None:
    """A module that was built for another number of steps, or for a batch of one, counts as one that was not."""
    right, wrong = small_network(), small_network()
    for layer in wrong:
        if hasattr(layer, "num_timesteps"):
            vars(layer).update(num_timesteps=2 * STEPS, batch_size=1)
    found = [list(fit(network, bar_data(), replace(CONFIG, epochs=1))) for network in (right, wrong)]
    assert found[0] == found[1]
    assert same(weights_of(right), weights_of(wrong))


OWN = """
from training_data import small_network
def build(classes, seed, steps, input_shape):
    assert (steps, input_shape) == ({steps}, (2, {side}, {side}))
    return small_network(classes, seed)
def broken(classes):
    return 1 / 0
def greedy(budget):
    return None
nothing = None
def text():
    return "a network"
"""


def test_a_users_own_file_builds_the_network(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN.format(steps=STEPS, side=SIDE))
    network = network_of(f"{path}:build", bar_data(), 3)
    assert same(weights_of(network), weights_of(small_network(2, 3)))
    for place, text in {
        f"{path}:other": "has no function other", f"{path}:nothing": "has no function nothing",
        f"{path}:greedy": "asks for budget: it is given input_shape, steps, classes, seed",
        f"{path}:broken": "fails: ZeroDivisionError: division by zero", f"{path}:text": "gives str",
        f"{path}": "write FILE.py:FUNCTION", f"{tmp_path}/none.py:build": "no such file",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=text):
            network_of(place, bar_data(), 0)
    path.write_text("import nothing_like_this")
    with pytest.raises(InputError, match="fails: ModuleNotFoundError"):
        network_of(f"{path}:build", bar_data(), 0)


def test_weights_of_another_number_of_classes_keep_all_but_the_last_layer(tmp_path: Path) -> None:
    list(fit(first := small_network(), bar_data(), replace(CONFIG, epochs=1), tmp_path))
    other = small_network(5, seed=4)
    before = weights_of(other)
    assert take_weights(other, tmp_path / "best.safetensors") == ["3.weight"]
    assert np.array_equal(weights_of(other)[0], weights_of(first)[0])
    assert np.array_equal(weights_of(other)[1], before[1])


def test_a_trinary_network_is_trained_for_crossbars_and_is_its_integers() -> None:
    """Agreement: exact, so that float and chip have the same figures; weights stay real and trainable between."""
    data = digits_as_data(0, 40, 30)
    recipe = sized_recipe("truenorth", "small", data, 0)
    config = replace(recipe.config, epochs=2, batch_size=10, chip_samples=0)
    results = list(fit(recipe.network, data, config, running=recipe.running))
    assert [result.chip for result in results] == [result.test for result in results]
    assert results[0].loss != results[1].loss


@pytest.mark.slow
def test_train_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trained"
    arguments = ["train", "--epochs", "1", "--train-size", "60", "--chip-samples", "50", "--out", str(out)]
    assert run(arguments) == 0
    assert "epoch  1" in capsys.readouterr().out
    network = (out / "network.safetensors").read_bytes()
    assert (out / "training.png").read_bytes()[:4] == b"\x89PNG"
    assert run([*arguments, "--json"]) == 0  # nothing is left to do, and the same is written
    printed = capsys.readouterr()
    assert "epoch  1" not in printed.err
    found = json.loads(printed.out)
    assert [row["epoch"] for row in found["epochs"]] == [1]
    assert 0 <= found["all_on_chip"]["accuracy"] <= 1
    assert (out / "network.safetensors").read_bytes() == network
    assert run(["check", str(out / "network.safetensors"), "--chip", "speck2f"]) == 0
    capsys.readouterr()
    for more, text in {
        ("--recipe", "none"): "choose one of sinabs", ("--seed", "7"): "seed was 0 and is 7",
        ("--devices", "tpu"): "--devices tpu: give auto", ("--devices", "gpu"): "no GPU is seen",
        ("--loss", "hinge"): "loss 'hinge'", ("--network", "x.py:build"): "--network needs --chip",
        ("--freeze", "head"): "nothing to freeze is called 'head'", ("--through", "lava"): "run in timestep, event",
        ("--precision", "float16"): "choose one of float32, bfloat16",
    }.items():  # fmt: skip
        assert run([*arguments, *more]) == 2, more
        said = capsys.readouterr().err
        assert text in said
        assert said.count("\n") == 1
