"""The site as a whole: every page has a place, reference pages are complete, and words lead somewhere."""

from __future__ import annotations

import importlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import i2e_deploy as i2e
from i2e_deploy.chips.registry import all_chips
from i2e_deploy.chips.rules import load_rules
from i2e_deploy.cli.app import run
from i2e_deploy.network import Conv2d, IntegrateAndFire, Network, chain

DOCS = Path(__file__).parent.parent / "docs"
sys.path.insert(0, str(DOCS))
site_pages = importlib.import_module("site_pages")
sys.path.remove(str(DOCS))

#: Pages that are made from the code, and those that are written.
MADE = {f"reference/{name}.md": "\n".join(getattr(site_pages, name)()) for name in ("commands", "rules", "errors")}
PAGES = {str(path.relative_to(DOCS)): path.read_text() for path in sorted(DOCS.rglob("*.md"))} | MADE
FILES = PAGES["reference/files.md"]


def nav() -> list[str]:
    """Pages in the menu of the site."""
    return re.findall(r"[\w/]+\.md", (DOCS.parent / "mkdocs.yml").read_text().partition("\nnav:\n")[2])


def test_every_page_is_in_the_menu_once() -> None:
    assert sorted(nav()) == sorted([*PAGES, "reference/python.md"])


def anchors(text: str) -> set[str]:
    """Of headings, as MkDocs makes them."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    titles = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.*)$", plain, re.MULTILINE)]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def links() -> Iterator[tuple[str, str]]:
    """(page, link with an anchor) of pages of the site and of those beside it."""
    for name, text in {**PAGES, "../README.md": (DOCS.parent / "README.md").read_text()}.items():
        yield from ((name, link) for link in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", text) if "://" not in link)


def test_anchors_lead_to_headings() -> None:
    for name, link in links():
        path, _, anchor = link.partition("#")
        target = (DOCS / name).parent / path if path else DOCS / name
        page = PAGES[str(target.resolve().relative_to(DOCS))]
        assert anchor in anchors(page), f"{name}: {link}"


#: Words that people search for, and the page that must have each, in a heading or in its text.
WORDS = {
    "tutorial": "index.md",
    "quickstart": "index.md",
    "from_model": "guides/import.md",
    "MaxPool": "guides/import.md",
    "partition": "guides/check_and_fit.md",
    "placement": "guides/check_and_fit.md",
    "regression": "guides/regression.md",
    "steering": "guides/regression.md",
    "detection": "guides/boxes.md",
    "boxes": "guides/boxes.md",
    "container": "guides/containers.md",
    "docker": "guides/containers.md",
    "cache": "guides/containers.md",
    "Windows": "guides/containers.md",
    "macOS": "guides/containers.md",
    "GitHub": "tutorials/ci.md",
    "GitLab": "tutorials/ci.md",
    "pytest": "tutorials/ci.md",
    "board": "tutorials/board.md",
    "samna": "tutorials/board.md",
    "SLAYER": "tutorials/slayer_to_loihi2.md",
    "netx": "tutorials/slayer_to_loihi2.md",
    "lava-dl": "tutorials/slayer_to_loihi2.md",
    "snnTorch": "tutorials/snntorch_to_loihi2.md",
    "SpikingJelly": "bring_your_network.md",
    "Norse": "bring_your_network.md",
    "Rockpool": "bring_your_network.md",
    "Sinabs": "bring_your_network.md",
    "NIR": "nir.md",
    "quantisation": "guides/calibrate.md",
    "quantization": "guides/calibrate.md",
    "calibration": "guides/calibrate.md",
    "energy": "guides/calibrate.md",
    "power": "findings/estimates.md",
    "latency": "dynapcnn.md",
    "raster": "guides/event_order.md",
    "hardware in the loop": "guides/hardware_in_the_loop.md",
    "ImageNet": "guides/large_data.md",
    "Parquet": "guides/large_data.md",
    "Ray": "guides/large_data.md",
    "Dask": "guides/large_data.md",
    "aedat": "event_files.md",
    "rosbag": "event_files.md",
    "camera": "live.md",
    "NeuroBench": "guides/neurobench.md",
    "Hugging Face": "guides/share.md",
    "Croissant": "guides/share.md",
    "cite": "guides/share.md",
    "accuracy": "findings/loihi2_integers.md",
    "benchmark": "findings/speed.md",
    "manifest": "reference/files.md",
    "backend": "concepts/words.md",
    "SPK010": "reference/rules.md",
    "exit code": "reference/errors.md",
    "--junit": "reference/commands.md",
}


@pytest.mark.parametrize(("word", "page"), WORDS.items(), ids=WORDS)
def test_a_word_that_people_search_for_leads_to_its_page(word: str, page: str) -> None:
    """Whole words, as the index of the site has them."""
    assert page in nav()
    assert re.search(rf"(?<!\w){re.escape(word)}(s|ed|es)?(?!\w)", PAGES[page], re.IGNORECASE), f"{page}: no {word}"


def test_every_command_and_option_has_a_text_in_the_reference() -> None:
    text = MADE["reference/commands.md"]
    rows = re.findall(r"^\| (`[^|]*`) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) > 200
    for names, what in rows:
        assert len(what.strip()) > 5, names


def test_every_rule_of_every_chip_stands_in_the_reference_with_its_source() -> None:
    text = MADE["reference/rules.md"]
    chips = all_chips()[0].values()
    rules = {*load_rules(), *(rule for chip in chips for rule in chip.rules)}
    for rule in rules:
        section = text.partition(f"## {rule.code}: ")[2].partition("\n## ")[0]
        assert "What to do: " in section, rule.code
        for chip in chips:
            if rule in chip.rules and rule.limit in chip.profile.limits:
                assert re.search(rf"^\| {chip.profile.name} \| .* \| \S.* \| \S.* \|$", section, re.MULTILINE), (
                    rule.code
                )


def test_every_error_stands_in_the_reference() -> None:
    for name in i2e.errors.__all__:
        assert re.search(rf"^\| `{name}` \| \d+ \| \S", MADE["reference/errors.md"], re.MULTILINE), name


def test_formats_of_files_are_those_of_the_code() -> None:
    """Every `FORMAT` of the package, with its version."""
    declared: dict[str, int] = {}
    for path in (DOCS.parent / "i2e_deploy").rglob("*.py"):
        text = path.read_text()
        versions = re.findall(r"^(?:FORMAT(?:, RESULTS_FORMAT)?, )?(?:FORMAT_)?VERSION = .*?(\d+)$", text, re.MULTILINE)
        for name in re.findall(r'"(i2e-deploy-[a-z-]+)"', text) if versions else ():
            if re.search(rf'FORMAT\b.* = .*"{name}"', text):
                declared[name] = int(versions[0])
    told = {name: int(version) for name, version in re.findall(r"\| `(i2e-deploy-[a-z-]+)` \| (\d+) \|", FILES)}
    assert told == declared


def tiny_network() -> Network:
    weight = np.random.default_rng(0).normal(0.1, 0.4, (2, 2, 4, 4)).astype(np.float32)
    return chain((2, 4, 4), {"conv": Conv2d(weight), "n": IntegrateAndFire(1.0, -1.0)})


def test_what_the_page_says_of_a_bundle_and_its_job_is_in_them(tmp_path: Path) -> None:
    chip, frames = i2e.chips.get("speck2f"), np.ones((2, 3, 2, 4, 4), np.int64)
    card = i2e.datasets.Card(("a", "b"), (2, 4, 4), 3)
    bundle = i2e.bundle.write(tmp_path / "b", chip, tiny_network(), frames, semantics="event", step_us=500, card=card)
    i2e.bundle.write_job(bundle, tmp_path / "job.zip")
    section = FILES.partition("## Bundle")[2].partition("\n## ")[0]
    for path in bundle.path.iterdir():
        assert f"`{path.name}`" in section or path.name == "speck2f.json", path.name
    keys = set(re.findall(r"`(\w+)`", section))
    assert set(bundle.manifest) <= keys, set(bundle.manifest) - keys
    assert set(json.loads(json.dumps(card.record()))) <= set(re.findall(r"`(\w+)`", FILES))
    with zipfile.ZipFile(tmp_path / "job.zip") as archive:
        about = json.loads(archive.read("job.json"))
        assert {"format", "format_version", "id", "chip", "needs", "semantics", "step_us"} <= set(about)


@pytest.mark.slow
def test_what_the_page_says_of_a_board_file_is_in_it(tmp_path: Path) -> None:
    assert run(["probe", "--target", "fake-board", "--out", str(tmp_path / "a.json"), "--repeats", "3"]) == 0
    answers = json.loads((tmp_path / "a.json").read_text())
    section = FILES.partition("## Board file")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(\w+)`", section))
    assert told == {*answers, *answers["answers"][0], *answers["measured"][0]}


def test_letters_of_a_session_are_those_that_are_written() -> None:
    source = (DOCS.parent / "i2e_deploy" / "runtime" / "recording.py").read_text()
    written = set(re.findall(r'_?(?:write|record)\(b"(\w)"', source))
    section = FILES.partition("## Recorded session")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w)` \|", section, re.MULTILINE)) == written
