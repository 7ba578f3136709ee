"""The trainer: any network, any data, in floats or through a chip's integers, on one device or many."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from i2e_deploy.chips import AnyNetwork, Chip, Injection, Program, get, write_model
from i2e_deploy.chips.values import Values
from i2e_deploy.errors import InputError
from i2e_deploy.network.file import VALUES
from i2e_deploy.text import listed, record_repr
from i2e_deploy.training import batches, checkpoint, judging, limits, optimising
from i2e_deploy.training.activity import watched
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.devices import Devices
from i2e_deploy.training.frameworks import running_of
from i2e_deploy.training.merging import check_merged
from i2e_deploy.training.metrics import LOAD, class_sums, figures, is_better, value_sums
from i2e_deploy.training.results import EpochResult, best_of, result_of, write_csv
from i2e_deploy.training.running import Running
from i2e_deploy.training.samples import TrainingData
from i2e_deploy.training.through import Through, check_through, semantics_of

#: Files of a training in its folder: where it goes on, the weights of the best epoch, the last and the best network as
#: the chip takes it, and a line an epoch.
CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"
NETWORK, BEST_NETWORK, METRICS = "network.safetensors", "network_best.safetensors", "metrics.csv"
FILES = (CHECKPOINT, BEST, NETWORK, BEST_NETWORK, METRICS)
#: Test samples on which the trained module's own forward is compared with what was read, at the start.
COMPARED = 4
OnBatch = Callable[[int, float], None]


def fit(
    network: nn.Module,
    data: TrainingData,
    config: FitConfig | None = None,
    folder: Path | None = None,
    *,
    running: Running | None = None,
    devices: Devices | None = None,
    restart: bool = False,
    on_batch: OnBatch | None = None,
) -> Iterator[EpochResult]:
    """Train `network` in place and yield a result after each epoch.

    A network that the chip cannot take is refused before the first batch. With a folder, a training that was killed at
    any moment goes on after its last whole epoch and gives the same bits as one that never was; the epochs that it has
    done are not yielded again (`checkpoint.read_history`).

    Args:
        network: neurons of Sinabs, SLAYER, snnTorch or SpikingJelly; or whatever `running` runs.
        data: what it learns from.
        config: how; None: `FitConfig()`.
        folder: for `checkpoint.safetensors`, `best.safetensors` (weights), `metrics.csv`, and with a chip
            `network.safetensors` and `network_best.safetensors`; each is replaced whole after an epoch. It is made
            once nothing is refused. None: nothing is kept.
        running: how the network is run and read; None: by its framework, see `running_of`.
        devices: see `devices.open_devices`; None: a CPU. All processes yield the same results.
        restart: begin anew where the folder holds a training.
        on_batch: called with (batches done in all, loss), after the step.

    Raises:
        InputError: the folder holds another training, settings that do not fit the data or the device, or a semantics
            that the chip does not have.
        UnsupportedError: the chip has no counterpart for the network.
    """
    chosen = config or FitConfig()
    job = _Job(network, running or running_of(network), data, chosen, folder, devices or Devices())
    job.devices.check(chosen.precision)
    job.check()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for epoch in range(job.start(restart), chosen.epochs):
        yield job.epoch(epoch, on_batch)


@dataclass(eq=False)
class _Job:
    """One training: what does not change, and the results so far."""

    network: nn.Module
    running: Running
    data: TrainingData
    config: FitConfig
    folder: Path | None
    devices: Devices
    results: list[EpochResult] = field(default_factory=list)
    chip: Chip | None = None
    semantics: str = ""
    through: Through | None = None
    limits: dict[str, float] = field(default_factory=dict)
    outputs: int = 0

    __repr__ = record_repr

    def __post_init__(self) -> None:
        self.network.to(self.devices.device)
        self.frozen = optimising.freeze(self.network, self.config.optimising.freeze)
        self.optimiser = optimising.make_optimiser(self.network, self.config.optimising)
        self.per_epoch = batches.count(len(self.data.train), self.config.batch_size)
        plain = Injection(self.config.order)
        timed = plain if self.data.step_us is None else replace(plain, step_us=self.data.step_us)
        self.entering = judging.Entering(timed, own_steps=self.data.preprocessing.get("cut") == "whole")

    def check(self) -> None:
        """Find what would stop the training later."""
        if self.config.loss.regression != (not self.data.classes):
            wanted = "values" if self.config.loss.regression else "classes"
            have = f"{len(self.data.classes)} classes" if self.data.classes else "values"
            other = "cross_entropy or tet" if self.data.classes else "mse or mae"
            raise InputError(
                f"loss {self.config.loss.kind} learns {wanted}, and the data have {have}: choose another loss, {other}"
            )
        self.outputs = self._check_outputs()
        if self.config.merged_epochs and self._values_a_step():
            raise InputError("training: the data have a value for every step and merged epochs one step: take merged 0")
        if not self.config.chip:
            return
        self.chip = get(self.config.chip)
        example = self.data.test.batch(judging.evenly(self.data.test, COMPARED), None).frames
        program = self._program(example)
        if self.config.merged_epochs:
            check_merged(self.network, self._read())
        asked = self.config.through or self.config.semantics
        self.semantics = semantics_of(self.chip, program, self.config.semantics or asked)
        if self.config.through:
            self._check_mixing()
            check_through(self.network, self.running, program)
            inside = semantics_of(self.chip, program, self.config.through)
            self.through = Through(self.chip, inside, self.running, self.entering)
        if self.config.loss.limits == "chip":
            self._take_limits(program)

    def _check_mixing(self) -> None:
        """Refuse what would take the events of recordings out of their own order without a word."""
        some = self.data.train.batch(judging.evenly(self.data.train, 1), None)
        if self.config.mixing.active and some.recordings and self.config.through != "timestep":
            raise InputError(
                f"training through {self.config.through} takes the events of recordings in their own order, and events "
                "that are dropped or mixed are counts without one: leave out event drop and mixup, or train through "
                "'timestep'"
            )

    def _take_limits(self, program: Program) -> None:
        """What every layer may do, as it is placed by what it does on some training samples."""
        assert self.chip is not None
        some = self.data.train.batch(judging.evenly(self.data.train, COMPARED), None)
        read = self._read()
        self.limits = limits.limits_of(self.chip, program, read, some, self.data.step_us)
        frames = torch.from_numpy(some.frames).to(self.devices.device).float()
        limits.check_limited(self.network, self.running, self.limits, frames)

    def _values_a_step(self) -> bool:
        return self.data.train.batch(judging.evenly(self.data.train, 1), None).targets.ndim == 3

    @torch.no_grad()
    def _check_outputs(self) -> int:
        """How many there are; InputError unless there is one a class, or a value."""
        batch = self.data.train.batch(judging.evenly(self.data.train, 1), None)
        frames = torch.from_numpy(batch.frames).to(self.devices.device)
        outputs = judging.run(self.network, self.running, self.config.loss, frames).shape[-1]
        wanted = len(self.data.classes) or batch.targets.shape[-1]
        if outputs != wanted:
            what = "classes" if self.data.classes else "values a sample"
            raise InputError(f"the network has {outputs} outputs and the data {wanted} {what}: build it with as many")
        return int(outputs)

    def _program(self, example: Any = None) -> Program:
        assert self.chip is not None
        found = self.chip.lower(self._read(example))
        return judging.deciding(found, self.running, self.config.loss, self.outputs)

    def _read(self, example: Any = None) -> AnyNetwork:
        """The network as the chip takes it; with frames, its own forward is compared with what was read."""
        assert self.chip is not None
        read = self.running.read(self.network.cpu(), self.data.input_shape, example, self.chip)
        self.network.to(self.devices.device)
        return read

    def start(self, restart: bool) -> int:
        """Go on from what the folder holds; the number of epochs done."""
        if self.folder is None:
            return 0
        path = self.folder / CHECKPOINT
        if self.devices.rank == 0:
            for name in FILES:  # what a killed process was writing
                for left in self.folder.glob(f".{name}.*.tmp"):
                    left.unlink(missing_ok=True)
        if restart and self.devices.rank == 0:
            for name in FILES:
                (self.folder / name).unlink(missing_ok=True)
        self.devices.wait()
        if path.exists():
            self.results = [result_of(row) for row in checkpoint.resume(self.progress(), path)]
            self._write_metrics()
        return len(self.results)

    def progress(self) -> checkpoint.Progress:
        """What a checkpoint holds."""
        data = self.data
        about = {
            **{f"data.{name}": value for name, value in data.settings.items()},
            "data.train": len(data.train), "data.test": len(data.test), "data.classes": list(data.classes),
            "data.input_shape": list(data.input_shape), "data.steps": data.steps,
            "network": type(self.network).__name__,
        }  # fmt: skip
        return checkpoint.Progress(self.network, self.optimiser, {**self.config.flat(), **about})

    def epoch(self, number: int, on_batch: OnBatch | None) -> EpochResult:
        """Train and test once, from epoch 0 on, and keep what came of it."""
        began = time.perf_counter()
        with torch.random.fork_rng(devices=[]):  # dropout, and whatever else a module draws
            torch.manual_seed(batches.draw_of(self.config.seed, number) + self.devices.rank)
            loss, train, rate = self._train(number, on_batch)
        trained = time.perf_counter() - began
        self.devices.average_statistics(self.network)
        test, chip = self._judge()
        best = best_of(self.results)
        better = is_better(chip or test, None if best is None else best.judged)
        speed = len(self.data.train) / trained
        result = EpochResult(
            number + 1, loss, train, test, chip, better, rate, time.perf_counter() - began, speed
        )  # fmt: skip
        self.results.append(result)
        self._keep(result)
        return result

    def _train(self, epoch: int, on_batch: OnBatch | None) -> tuple[float, dict[str, float], float]:
        """Mean loss, figures of the training samples, and the last learning rate."""
        self.network.train()
        for module in self.frozen:
            module.eval()
        config, rank = self.config, self.devices.rank
        lost, sums, rate = torch.zeros(1, dtype=torch.float64), [], 0.0
        loads = torch.zeros(len(self.limits), dtype=torch.float64)
        own = batches.parts(
            self.data.train, config.batch_size, config.seed, epoch, config.mixing, rank, self.devices.ranks
        )
        for part in own:
            outputs, loss, targets, shares = self.forward(part, epoch < config.merged_epochs)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.devices.add_gradients(self.network)
            now = epoch * self.per_epoch + part.number
            steps = self.per_epoch * config.epochs
            rate = optimising.step(self.network, self.optimiser, config.optimising, now, steps)
            loss_now = float(loss.detach())
            lost += loss_now * part.whole
            kept = torch.from_numpy(part.weights) > 0
            loads += shares.cpu() * float(part.weights.sum())
            sums.append(self._sums(outputs.detach().cpu()[kept], targets.cpu()[kept]))
            if on_batch is not None:
                on_batch(now + 1, loss_now)
        total = self.devices.total(torch.stack(sums).sum(0))
        found = figures(total)
        if self.limits:
            found[LOAD] = float(self.devices.total(loads).max()) / len(self.data.train)
        return float(self.devices.total(lost)) / len(self.data.train), found, rate

    def forward(self, part: batches.Part, merged: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Outputs [B, T, N], this device's part of the batch's mean loss, targets, and shares of limits [L]; `merged`:
        T is 1."""
        device, config, mixed = self.devices.device, self.config, part.mixed
        frames = torch.from_numpy(mixed.batch.frames).to(device).float()
        targets = torch.from_numpy(mixed.batch.targets).to(device)
        weights = torch.from_numpy(part.weights).to(device) / part.whole
        if merged:
            frames = frames.sum(1, keepdim=True)
        trace = None if self.through is None or merged else self.through.trace(self.network, mixed.batch)
        seen = (mixed.batch.frames.shape[1], len(frames), merged)
        with (
            watched(self.network, self.running, *seen) if config.loss.activity else nullcontext() as activity,
            self.devices.precise(config.precision),
        ):
            if self.through is None or trace is None:
                outputs = judging.run(self.network, self.running, config.loss, frames)
            else:
                outputs = self.through.outputs(self.network, mixed.batch, trace, frames)
        outputs = outputs.float()
        each = config.loss.of_samples(outputs, targets)
        if mixed.share is not None:
            share = torch.from_numpy(mixed.share).to(device)
            others = torch.from_numpy(mixed.others).to(device)
            each = share * each + (1 - share) * config.loss.of_samples(outputs, others)
        loss, shares = (each * weights).sum(), torch.zeros(0)
        if activity is not None:
            loss = loss + weights.sum() * config.loss.of_activity(activity.spikes, activity.synops, self.limits)
            shares = limits.shares_of(activity.synops, self.limits)
        return outputs, loss, targets, shares

    def _sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        predicted = self.config.loss.predicted(outputs, targets.shape[1] if targets.ndim == 3 else None)
        if self.config.loss.regression:
            return value_sums(predicted, targets)
        return class_sums(predicted.argmax(1), targets)

    def _judge(self) -> tuple[dict[str, float], dict[str, float]]:
        """Figures of the test samples in float, and of some of them on the chip; each process does its share."""
        devices, test, loss = self.devices, self.data.test, self.config.loss
        numbers = judging.evenly(test, 0)[devices.rank :: devices.ranks]
        own = judging.in_float(self.network, self.running, loss, test, numbers, devices.device)
        self._check_finite()
        found = figures(devices.total(own.sums))
        if self.chip is None:
            return found, {}
        some = judging.evenly(test, self.config.chip_samples)[devices.rank :: devices.ranks]
        program = self._program()
        judged = judging.on_chip(
            self.network, self.running, loss, test, some, program, self.semantics, self.entering
        )  # fmt: skip
        return found, figures(devices.total(judged.sums))

    def _check_finite(self) -> None:
        """Refuse to go on with weights or states that are no numbers."""
        numbers = (*self.network.named_parameters(), *self.network.named_buffers())
        if bad := [name for name, value in numbers if not torch.isfinite(value).all()]:
            raise InputError(
                f"training: {listed(bad)} hold numbers that are not finite after epoch {len(self.results) + 1}, which "
                "is not kept: take a lower learning rate, or clip the gradient"
            )

    def _keep(self, result: EpochResult) -> None:
        """Write the files; a training that is killed before the checkpoint stands does the epoch again."""
        if self.folder is not None and self.devices.rank == 0:
            notes = {name: str(value) for name, value in result.row().items() if "second" not in name}
            notes["seed"] = str(self.config.seed)
            if self.chip is not None:
                read = self._read()
                if self.config.loss.regression and self.chip.lower(read).deciding.of_spikes:
                    # A spike is worth as much on the chip; a state or a message is in the chip's units.
                    notes[VALUES] = json.dumps(Values((self.config.loss.scale,)).pack())
                for name in (NETWORK, BEST_NETWORK)[: 1 + result.best]:
                    write_model(read, self.folder / name, notes, self.data.card)
            if result.best:
                checkpoint.save_weights(self.network, self.folder / BEST, notes)
            rows = [each.row() for each in self.results]
            checkpoint.save_checkpoint(self.progress(), rows, self.folder / CHECKPOINT)
            self._write_metrics()
        self.devices.wait()

    def _write_metrics(self) -> None:
        if self.folder is not None and self.devices.rank == 0:
            write_csv(self.folder / METRICS, self.results)


def on_all(network: nn.Module, running: Running, data: TrainingData, config: FitConfig) -> judging.Judgement:
    """A trained network on all test samples, on the integers of the chip that `config` names.

    Raises:
        InputError, UnsupportedError: see `fit`.
    """
    job = _Job(network, running, data, config, None, Devices())
    job.check()
    everything = judging.evenly(data.test, 0)
    return judging.on_chip(
        network, running, config.loss, data.test, everything, job._program(), job.semantics, job.entering
    )
