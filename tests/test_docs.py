"""What README, docs and help tell people to type: every command line parses, every block of Python runs."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from children import needs_lava
from event_strategies import random_events
from tiny_programs import tiny_program

import i2e_deploy as i2e
from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna
from i2e_deploy.cli.app import app
from i2e_deploy.cli.app import run as run_command
from i2e_deploy.errors import SourceLost
from i2e_deploy.events.files import write_events
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, Op, chain, from_sinabs
from i2e_deploy.network.file import write_network
from i2e_deploy.training.digits import build_digit_network

ROOT = Path(__file__).parent.parent
TOP = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS: Any = typer.main.get_command(app)


def command_lines() -> list[str]:
    """`i2e-deploy ...` of the pages' blocks, and of the examples in every command's help."""
    found = []
    for page in PAGES:
        lines = page.read_text().splitlines()
        found += [line.split("#")[0].strip() for line in lines if line.startswith("i2e-deploy ")]
    for command in COMMANDS.commands.values():
        paragraphs = [" ".join(text.split()) for text in command.help.split("\n\n")]
        found += [text.partition(": ")[2] for text in paragraphs if ": i2e-deploy " in text]
    return found


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_parses(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    COMMANDS.commands[name].make_context(name, arguments)


def test_every_command_is_in_the_readme_and_shows_an_example() -> None:
    readme = PAGES[0].read_text()
    for name, command in COMMANDS.commands.items():
        assert f"i2e-deploy {name}" in readme or f"make {name}" in readme
        assert f"i2e-deploy {name}" in command.help


def test_the_changelog_names_every_command() -> None:
    """In its list, which has no others."""
    (listed,) = re.findall(
        r"\*\*Command line\*\* `i2e-deploy`: (.*?)\.\n", (ROOT / "CHANGELOG.md").read_text(), re.DOTALL
    )
    assert sorted(re.findall(r"`(\S+)`", listed)) == sorted(COMMANDS.commands)


#: Of 80 columns, those that a command's name and its help share.
LINE = 80 - 2 - 6


def test_no_line_of_the_list_of_commands_is_cut_at_80_columns() -> None:
    for name, command in COMMANDS.commands.items():
        assert not command.get_short_help_str(LINE - max(map(len, COMMANDS.commands))).endswith("..."), name


#: Pages of the site that `docs/site_pages.py` makes.
MADE = {ROOT / "docs" / "reference" / f"{name}.md" for name in ("commands", "rules", "errors", "python")}


def test_relative_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            there = (page.parent / link).exists() or (page.parent / link).resolve() in MADE
            assert link.startswith("https://") or there, f"{page.name}: {link}"


#: Endings of files of a bundle: `network.safetensors` is no name in the package `network`.
IN_A_BUNDLE = (".safetensors", ".json", ".html")


def test_files_and_modules_that_the_pages_name_are_there() -> None:
    """Paths from the root or from the package (`tests/...`, `chips/...`), and dotted names in it (`training.loop`)."""
    package = ROOT / "i2e_deploy"
    for page in PAGES:
        for name in re.findall(r"`(\w[\w./-]*)`", page.read_text()):
            first = re.split(r"[/.]", name)[0]
            if page.name == "CHANGELOG.md" or "NAME" in name or name.endswith(IN_A_BUNDLE) or first == "build":
                continue  # `build` is what `make docs` and `make dist` write
            if "/" in name and ((ROOT / first).is_dir() or (package / first).is_dir()):
                assert (ROOT / name).exists() or (package / name).exists(), f"{page.name}: {name}"
            elif "." in name and (package / first).is_dir():
                assert has_name(package, name), f"{page.name}: {name}"


#: A number of a table: with its decimals, without commas.
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
FINDINGS = sorted(page for page in (ROOT / "docs" / "findings").glob("*.md") if page.stem != "index")
#: Pages whose figures are other people's; they stand in profiles, tests and the sources that the pages name.
OF_OTHERS = ("estimates", "silicon")


@pytest.mark.parametrize("page", FINDINGS, ids=lambda page: page.stem)
def test_figures_of_findings_stand_in_the_result_files_that_they_name(page: Path) -> None:
    """Every number of three characters or more in a table, perhaps rounded; without it a page outlives its figures."""
    files = set(re.findall(r"`(benchmarks/results/[\w.]+)`", page.read_text()))
    assert files, "a finding without a result file"
    if page.stem in OF_OTHERS:
        return
    there = {float(text.replace(",", "")) for file in files for text in NUMBER.findall((ROOT / file).read_text())}
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    for text in (text.replace(",", "") for row in rows for text in NUMBER.findall(row)):
        digits = len(text.partition(".")[2])
        assert len(text) < 3 or any(abs(round(number, digits) - float(text)) < 1e-9 for number in there), text


def has_name(package: Path, dotted: str) -> bool:
    """Whether a dotted name leads to a module, or to a word in the source of one."""
    *parts, word = dotted.split(".")
    files = [package.joinpath(*parts, word).with_suffix(".py"), package.joinpath(*parts, word, "__init__.py")]
    around = [package.joinpath(*parts).with_suffix(".py"), package.joinpath(*parts, "__init__.py")]
    named = any(re.search(rf"\b{word}\b", path.read_text()) for path in around if path.is_file())
    return named or any(path.is_file() for path in files)


def test_the_version_is_the_same_everywhere() -> None:
    version = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE) == version
    assert re.findall(r"^## \[(.*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[:1] == version


def run(page: str, names: dict[str, Any], edit: Callable[[str], str] = str) -> dict[str, Any]:
    """The page's Python blocks, one after another."""
    for code in blocks(page):
        exec(edit(code), names)
    return names


def test_conversion_page() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 20, 20)).astype(np.uint8)
    names = run("conversion.md", {"images": images})
    assert names["frames"].shape == (2, 8, 2, 20, 20)


def test_recipes_page(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("recipes.md", {})
    assert names["plan"].shapes[-1] == (10, 1, 1)
    assert "large Sinabs" in capsys.readouterr().out


def test_dynapcnn_page() -> None:
    camera, seeing, fake_board = blocks("dynapcnn.md")
    weight = np.ones((4, 1, 3, 3), np.float32)
    names: dict[str, Any] = {"weight": weight, "program": tiny_program(bias=False), "frames": np.ones((3, 8, 2, 8, 8))}
    exec(camera, names)
    assert isinstance(names["network"], Network)
    names["frames"] = np.ones((3, 8, 2, 8, 8), np.uint8)
    with pytest.raises(SourceLost, match="board lost in sample"):
        exec(fake_board, names)
    names["program"] = tiny_program((2, 32, 32), bias=False)
    with fake_samna(sensor=random_events(2000, 128, 128)):
        exec(seeing, names)
    assert names["seen"].trace.output.any()
    assert names["again"].output.any()


def test_a_network_is_changed_to_fit_and_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page's way from a network that is too large to a bundle."""
    rng = np.random.default_rng(0)
    ops: dict[str, Op] = {"wide": Conv2d(rng.normal(0.02, 0.2, (40, 2, 3, 3)).astype(np.float32), padding=(1, 1))}
    weight = rng.normal(0.01, 0.2, (4, 40 * 32 * 32)).astype(np.float32)
    neuron = IntegrateAndFire(1.0, -1.0)
    ops |= {"n": neuron, "flat": Flatten(), "last": Linear(weight), "out": neuron}
    monkeypatch.chdir(tmp_path)
    write_network(chain((2, 32, 32), ops), Path("big.safetensors"))
    frames = (rng.random((4, 3, 2, 32, 32)) < 0.1).astype(np.uint8)
    command = ["check", "big.safetensors", "--chip", "speck2f"]
    assert run_command(command) == 1
    assert run_command([*command, "--apply", "small.safetensors"]) == 0
    said = capsys.readouterr().out
    export = ["export", "small.safetensors", "--chip", "speck2f", *(["--split"] if "with --split" in said else [])]
    np.save("frames.npy", frames[:1, :2])
    export += ["--input", "frames.npy"]
    assert run_command([*export, "--out", "before"]) == 0
    assert "was changed and not trained since" in capsys.readouterr().err
    exec(blocks("guides/check_and_fit.md")[0], {"frames": frames, "labels": np.arange(4)})
    assert run_command([*export, "--out", "my_bundle"]) == 0
    assert "not trained since" not in capsys.readouterr().err


def test_networks_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = build_digit_network(8, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():  # so that outputs fire: without, `evaluate` says that nothing decides
            parameter.mul_(2 if parameter.ndim > 1 else 1)
    frames = (np.random.default_rng(0).random((4, 8, 2, 32, 32)) < 0.3).astype(np.uint8)
    write_network(from_sinabs(model, (2, 32, 32)), Path("small.safetensors"))
    names = run("networks.md", {"model": model, "frames": frames})
    assert names["trace"].output.shape == (4, 8, 10)
    assert "compared with" in names["network"].notes[0].text
    np.savez("frames.npz", frames=frames, labels=np.arange(4))
    np.save("frames.npy", frames)
    lines = [line.split("#")[0] for line in (ROOT / "docs" / "networks.md").read_text().splitlines()]
    codes = [run_command(shlex.split(line)[1:]) for line in lines if line.startswith("i2e-deploy ")]
    assert codes == [0, 0, 0, 1]


@pytest.mark.parametrize("code", blocks("bring_your_network.md"))
def test_bring_your_network_page(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of a framework that is not installed is left out; rockpool looks for samna, whose stub runs pip."""
    monkeypatch.setitem(sys.modules, "samna", None)
    packages = re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)
    for package in packages:
        pytest.importorskip(package)
    names: dict[str, Any] = {}
    exec(code, names)
    assert "compared with" in names["network"].notes[-1].text


def test_ci_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands, in order, on a small network; then its block of Python."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ops: dict[str, Op] = {
        "conv": Conv2d(rng.normal(0.1, 0.3, (3, 2, 4, 4)).astype(np.float32)),
        "n": IntegrateAndFire(1.0, -1.0),
    }
    write_network(chain((2, 4, 4), ops), Path("network.safetensors"))
    frames = (rng.random((4, 5, 2, 4, 4)) < 0.4).astype(np.uint8)
    np.save("frames.npy", frames)
    Path("networks").mkdir()
    lines = (ROOT / "docs" / "tutorials" / "ci.md").read_text().splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("i2e-deploy ")]
    assert [words[0] for words in commands] == ["export", "check", "check", "evaluate"]
    assert run_command(commands[0]) == 0
    decided = i2e.bundle.read("networks/digits").program.run(frames).decisions()
    np.savez("frames.npz", frames=frames, labels=decided)
    assert [run_command(words) for words in commands[1:]] == [0, 0, 0]
    assert Path("result.xml").is_file()
    for code in blocks("tutorials/ci.md"):
        exec(code, {})


def test_regression_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weight = np.random.default_rng(0).normal(0.1, 0.4, (2, 2, 4, 4)).astype(np.float32)
    network = chain((2, 4, 4), {"conv": Conv2d(weight), "n": IntegrateAndFire(1.0, -1.0)})
    frames = (np.random.default_rng(1).random((6, 5, 2, 4, 4)) < 0.4).astype(np.uint8)
    names = {"i2e": i2e, "frames": frames, "angles": np.zeros((6, 2)), "network": network}
    write, rest = blocks("guides/regression.md")
    exec(write, names)
    names["chip"] = i2e.chips.get("speck2f")
    exec(rest.replace('("steering",)', '("x", "y")'), names)
    found: Any = names["result"]
    assert found.results[0].errors.rmse > 0
    lines = [line for line in (ROOT / "docs/guides/regression.md").read_text().splitlines() if line.startswith("i2e-")]
    evaluate = [shlex.split(line.replace("my_bundle", "steering"))[1:] for line in lines[:2]]
    assert [run_command(words) for words in evaluate] == [0, 1]


def test_boxes_page() -> None:
    example = runpy.run_path(str(ROOT / "examples" / "boxes_on_events.py"))
    torch.manual_seed(1)
    frames = example["scenes"](2, seed=5).frames
    network = example["Detector"]().network()
    names = run("guides/boxes.md", {"network": network, "frames": frames})
    assert names["potentials"].shape == (2, 12, 6, 4, 4)
    at_once = names["program"].run(names["late"])
    assert np.array_equal(names["potentials"][:, -1], at_once.states[names["reading"].layer]["v"])
    assert names["potentials"].any()


def test_neurobench_page() -> None:
    pytest.importorskip("neurobench")
    pytest.importorskip("snntorch")
    frames = np.random.default_rng(0).integers(0, 2, (3, 4, 2, 8, 8))
    program = tiny_program()
    names = run("guides/neurobench.md", {"program": program, "frames": frames, "labels": np.zeros(3, np.int64)})
    assert names["ours"]["Footprint"] == names["theirs"]["Footprint"]


@pytest.mark.slow
def test_snntorch_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks in order, then its commands on the bundle that they wrote."""
    pytest.importorskip("snntorch")
    monkeypatch.chdir(tmp_path)
    page = "tutorials/snntorch_to_loihi2.md"
    names = run(page, {})
    assert names["report"].fits
    assert names["result"].accuracy is not None
    lines = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("i2e-deploy ")]
    assert [run_command(shlex.split(line)[1:]) for line in lines] == [0, 0]


def test_live_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faery")
    from i2e_deploy.events import empty_events

    events = empty_events(1000)
    events["t"] = np.arange(1000) * 50
    for name in ("x.aedat4", "larger_than_memory.raw"):
        write_events(tmp_path / name, events, (320, 240))
    monkeypatch.chdir(tmp_path)
    program = tiny_program()
    names = run("event_files.md", {}) | {"events": events, "program": program}
    run("live.md", names)
    assert names["frames"].shape == (8, 2, 32, 32)
    assert len(list(names["decisions"](program, "fake://64x64?seconds=0.2&realtime=0"))) > 5
    assert callable(names["test_the_bug_of_last_tuesday"])


@needs_lava
def test_loihi2_page(tmp_path: Path) -> None:
    """Golden vectors on our own simulator: Lava takes long, and other tests have it."""
    from i2e_deploy.training.slayer_networks import RECIPES, build_slayer

    frames = (np.random.default_rng(0).random((5, 8, 2, 32, 32)) < 0.1).astype(np.uint8)
    names: dict[str, Any] = {
        "model": build_slayer(RECIPES["dense"][0]),
        "frames": frames,
        "folder": tmp_path / "bundle",
    }
    run("loihi2.md", names, lambda code: code.replace('target="lava"', 'target="simulator"'))
    assert np.array_equal(names["outputs"], names["trace"].output[-1])
    assert (tmp_path / "bundle" / "program.net").is_file()
