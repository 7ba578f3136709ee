"""Commands: all that a user types, in this process, on the network that the subject deploys."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from i2e_deploy.chips import write_model
from i2e_deploy.chips.trace import Integers
from i2e_deploy.testing.contract.subject import Part, Subject

#: Samples and steps of the frames that commands get.
SAMPLES, STEPS = 4, 6
#: A camera that sends 0.1 s of the same events at once.
CAMERA = "fake://32x32?rate=2e5&seconds=0.1&realtime=0&seed=1"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one JSON object that it printed."""
        return json.loads(self.out)


def run_command(*arguments: object) -> Ended:
    """Run `i2e-deploy ARGUMENTS` in this process, as its console script does."""
    (script,) = entry_points(group="console_scripts", name="i2e-deploy")
    out, err = io.StringIO(), io.StringIO()
    line = ["i2e-deploy", *map(str, arguments)]
    with (
        mock.patch.object(sys, "argv", line),
        mock.patch.dict(os.environ),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        script.load()()
    code = ended.value.code
    return Ended(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())


def assert_done(*arguments: object) -> Ended:
    """The command ends well."""
    ended = run_command(*arguments)
    assert ended.code == 0, f"i2e-deploy {' '.join(map(str, arguments))}: exit {ended.code}\n{ended.out}{ended.err}"
    return ended


def assert_refused(*arguments: object, code: int = 2) -> str:
    """The command ends with that exit code and one line, which is returned."""
    ended = run_command(*arguments)
    line = f"i2e-deploy {' '.join(map(str, arguments))}"
    assert ended.code == code, f"{line}: exit {ended.code}, expected {code}\n{ended.out}{ended.err}"
    assert ended.err.startswith("error: "), f"{line}: {ended.err!r}"
    assert ended.err.count("\n") == 1, f"{line}: an error of several lines: {ended.err!r}"
    return ended.err


@dataclass(frozen=True)
class Files:
    """The deployed network, and frames with labels for it, as files."""

    network: Path
    frames: Path
    samples: Path
    shape: tuple[int, ...]


def write_files(subject: Subject, folder: Path) -> Files:
    """The network that a subject deploys, and its input, on disk."""
    network = subject.deployed()
    frames: Integers = subject.frames(network, 0, SAMPLES, STEPS)
    made = Files(folder / "network.safetensors", folder / "frames.npy", folder / "samples.npz",
                 tuple(network.input_shape))  # fmt: skip
    write_model(network, made.network)
    np.save(made.frames, frames)
    np.savez(made.samples, frames=frames, labels=np.zeros(SAMPLES, np.int64))
    return made


class Commands(Part):
    """Every command works on the chip, and knows it by its name alone."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> Files:
        """See `write_files`."""
        return write_files(self.subject, tmp_path)

    def test_profiles(self) -> None:
        """`profiles` lists the chip, and shows every limit of it."""
        name, limits = self.subject.chip, self.chip.profile.limits
        assert name in assert_done("profiles").out
        assert name in [profile["name"] for profile in assert_done("profiles", "--json").json()]
        shown = assert_done("profiles", name).out
        assert all(limit in shown for limit in limits)
        assert set(assert_done("profiles", name, "--json").json()[0]["limits"]) == set(limits)

    def test_check(self, files: Files) -> None:
        """`check` of a network that fits, with and without input."""
        line = ("check", files.network, "--chip", self.subject.chip)
        assert f"fits {self.subject.chip}" in assert_done(*line).out
        report = assert_done(*line, "--json").json()
        assert report["fits"] is True
        assert report["layers"] == list(self.chip.lower(self.subject.deployed()).layer_names)
        assert assert_done(*line, "--input", files.frames, "--json").json()["fits"] is True

    def test_check_of_what_is_too_large(self, too_large: str, tmp_path: Path) -> None:
        """`check` exits with 1 and names the layer, `export` refuses in one line and writes nothing."""
        case, path = self.subject.too_large[too_large], tmp_path / "network.safetensors"
        write_model(case.network(), path)
        checked = run_command("check", path, "--chip", self.subject.chip)
        assert checked.code == 1, checked.err
        where = re.escape(f"layer {case.layer!r}") if case.layer else "network"
        assert re.search(rf"error (\w+ )?{where}", checked.out), checked.out  # with the code of its rule, if it has one
        assert f"does not fit {self.subject.chip}" in checked.out
        exported = run_command("export", path, "--chip", self.subject.chip, "--out", tmp_path / "bundle")
        assert exported.code in (1, 2), exported.out
        assert exported.err.count("\n") == 1, exported.err
        assert case.layer in exported.err
        assert not (tmp_path / "bundle").exists()

    def test_a_bundle_from_export_to_report(self, files: Files, semantics: str, tmp_path: Path) -> None:
        """`export`, `check`, `verify` on both simulators, `evaluate` on labelled data, and `report`, which shows it."""
        chip, folder = self.subject.chip, tmp_path / "bundle"
        assert_done("export", files.network, "--chip", chip, "--out", folder, "--input", files.frames,
                    "--semantics", semantics)  # fmt: skip
        assert json.loads((folder / "manifest.json").read_text())["chip"] == chip
        assert_done("check", folder, "--chip", chip)
        for target in ("simulator", "reference"):
            verified = assert_done("verify", folder, "--target", target, "--json").json()
            assert verified["exact"] is True
            assert verified["semantics"] == semantics
            assert verified["values"] > 0
        assert_refused("verify", folder, "--target", "nothing")
        line = ("evaluate", folder, files.samples, "--target", "simulator", "--target", "reference",
                "--semantics", semantics)  # fmt: skip
        told = assert_done(*line, "--json", "--junit", tmp_path / "junit.xml").json()
        assert told["samples"] == SAMPLES
        assert told["agreement"][0]["exact"] is True
        pages = bool(find_spec("jinja2") and find_spec("matplotlib"))
        assert "every spike equal" in assert_done(*line, *(("--html", tmp_path / "page.html") if pages else ())).out
        if pages:
            assert_done("report", folder)
            page = (folder / "report.html").read_text(encoding="utf-8")
            assert self.chip.profile.title in page
            assert "Evaluation on targets" in page

    def test_export_without_input(self, files: Files, tmp_path: Path) -> None:
        """Golden vectors of random events, from a seed."""
        assert_done("export", files.network, "--chip", self.subject.chip, "--out", tmp_path / "one", "--seed", 3)
        manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
        assert manifest["seeds"] == {"golden inputs": 3}

    def test_simulate_compare(self, files: Files, semantics: str, tmp_path: Path) -> None:
        """Both simulators write the same trace; other frames give another one, and `compare` says where."""
        chip, frames = self.subject.chip, np.load(files.frames)
        np.save(tmp_path / "other.npy", np.zeros_like(frames))
        traces = {}
        for name, target, inputs in (
            ("one", "simulator", files.frames),
            ("two", "reference", files.frames),
            ("other", "simulator", tmp_path / "other.npy"),
        ):
            traces[name] = tmp_path / f"{name}.npz"
            line = ("simulate", files.network, "--chip", chip, "--input", inputs, "--out", traces[name])
            told = assert_done(*line, "--semantics", semantics, "--target", target, "--state", "--json").json()
            assert len(told["decisions"]) == SAMPLES
            assert set(told["layers"]) == set(self.chip.lower(self.subject.deployed()).layer_names)
        assert assert_done("compare", traces["one"], traces["two"], "--json").json()["exact"] is True
        assert "differs first" in assert_refused("compare", traces["one"], traces["other"], code=1)
        assert_done("simulate", files.network, "--chip", chip, "--input", files.frames, "--out", traces["one"])

    def test_simulate_refuses(self, files: Files, tmp_path: Path) -> None:
        """Wrong frames, words and options: one line each."""
        line = ["simulate", files.network, "--chip", self.subject.chip, "--out", tmp_path / "t.npz", "--input"]
        np.save(tmp_path / "wrong.npy", np.load(files.frames)[..., :-1])
        assert "shape" in assert_refused(*line, tmp_path / "wrong.npy")
        for option in ("--semantics", "--target"):
            assert "nothing" in assert_refused(*line, files.frames, option, "nothing")
        if "split" not in self.chip.lower_options:
            export = ("export", files.network, "--chip", self.subject.chip, "--out", tmp_path / "bundle")
            assert "split" in assert_refused(*export, "--split")

    def test_live(self, files: Files, semantics: str, tmp_path: Path) -> None:
        """Events in, decisions out; a recorded session replays equal, and is data for `evaluate`."""
        line = ("live", files.network, "--chip", self.subject.chip)
        live = (*line, "--source", CAMERA, "--window", 20, "--steps", 4, "--semantics", semantics)
        if len(files.shape) != 3:
            assert_refused(*live)
            return
        session = tmp_path / "session.i2e"
        rows = _objects(assert_done(*live, "--record", session, "--json").out)
        assert rows[-1]["end"]["decisions"] == len(rows) - 1 > 0
        assert "all equal" in assert_done(*line, "--replay", session).out
        assert len(_objects(assert_done(*live, "--state", "keep", "--json").out)) == len(rows)
        told = assert_done("evaluate", files.network, session, "--chip", self.subject.chip, "--semantics", semantics,
                           "--target", "simulator", "--target", "reference", "--json").json()  # fmt: skip
        assert told["agreement"][0]["exact"] is True


def _objects(text: str) -> list[Any]:
    """JSON objects one after another, with space between them."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found
