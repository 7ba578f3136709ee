"""The card of a bundle and of shards, as Hugging Face's own library and mlcroissant read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Captured, refused
from hypothesis import given
from hypothesis import strategies as st

import i2e_deploy as i2e
from i2e_deploy.cli.app import run
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain
from i2e_deploy.network.file import write_network
from i2e_deploy.reporting.front_matter import page, table, yaml_text

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=12)
DATA = st.dictionaries(
    st.text("abc-_ :é", min_size=1, max_size=8),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
    ),
    max_size=4,
)


def shown(value: Any) -> Any:
    """Texts as the page shows them: one line, printable."""
    if isinstance(value, dict):
        return {shown(key): shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    return "".join(c if c.isprintable() else "?" for c in " ".join(value.split())) if isinstance(value, str) else value


@given(DATA)
def test_front_matter_is_what_yaml_reads(data: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    assert (yaml.safe_load(yaml_text(data)) or {}) == shown(data)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Exported, and evaluated on two targets."""
    weight = np.random.default_rng(0).normal(0.1, 0.4, (3, 2, 4, 4)).astype(np.float32)
    write_network(
        chain((2, 4, 4), {"co|nv": Conv2d(weight), "n": IntegrateAndFire(1.0, -1.0)}), tmp_path / "n.safetensors"
    )
    frames = (np.random.default_rng(1).random((6, 5, 2, 4, 4)) < 0.4).astype(np.uint8)
    np.savez(tmp_path / "frames.npz", frames=frames, labels=np.arange(6) % 3)
    given = ["--chip", "speck2f", "--input", str(tmp_path / "frames.npz"), "--out", str(tmp_path / "my_bundle")]
    assert run(["export", str(tmp_path / "n.safetensors"), *given]) == 0
    targets = ["--target", "simulator", "--target", "float"]
    assert run(["evaluate", str(tmp_path / "my_bundle"), str(tmp_path / "frames.npz"), *targets]) == 0
    return tmp_path / "my_bundle"


def test_hugging_face_reads_the_card_of_a_bundle(bundle: Path, capsys: Captured) -> None:
    hub = pytest.importorskip("huggingface_hub")
    assert run(["report", str(bundle), "--card", "--license", "apache-2.0"]) == 0
    assert f"wrote {bundle / 'README.md'}" in capsys.readouterr().out
    card = hub.ModelCard.load(bundle / "README.md")
    assert card.data.license == "apache-2.0"
    assert "speck2f" in card.data.tags
    wanted = json.loads((bundle / "evaluation.json").read_text())["result"]["targets"]
    metrics = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert metrics == {f"accuracy on {name}, timestep": row["accuracy"] for name, row in wanted.items()}
    assert all(result.dataset_name == "frames.npz" for result in card.data.eval_results)
    assert "the fast engine gives every one again" in card.text
    assert "co\\|nv" in card.text  # a name is no markup
    assert "It was not run on a chip." in card.text


def test_a_bundle_with_a_card_is_read_and_written_again(bundle: Path, capsys: Captured) -> None:
    assert run(["report", str(bundle), "--card"]) == 0
    assert "the licence is written as 'unknown': state it with --license" in capsys.readouterr().err
    assert i2e.bundle.verify(i2e.bundle.read(bundle)).exact
    held = i2e.bundle.read(bundle)
    i2e.bundle.write(bundle, held.chip, held.network, held.golden.inputs, overwrite=True)
    assert not (bundle / "README.md").exists()


def test_a_bundle_without_evaluation_has_a_card_without_results(bundle: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    (bundle / "evaluation.json").unlink()
    i2e.reporting.write_model_card(i2e.bundle.read(bundle))
    card = hub.ModelCard.load(bundle / "README.md")
    assert card.data.license == "unknown"
    assert card.data.eval_results is None
    assert "How good" not in card.text


def test_refusals(bundle: Path, capsys: Captured) -> None:
    capsys.readouterr()
    assert "--license is 'Apache 2': give an identifier" in refused(
        capsys, "report", bundle, "--card", "--license", "Apache 2"
    )
    assert "--license belongs to --card" in refused(capsys, "report", bundle, "--license", "mit")
    assert "leave out --out" in refused(capsys, "report", bundle, "--card", "--out", bundle / "x.html")
    assert "is no bundle" in refused(capsys, "report", bundle.parent, "--card")
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "check": {}}))
    assert "does not hold what a card needs: KeyError" in refused(capsys, "report", bundle, "--card")


def test_tables_and_pages_hold_what_strangers_wrote_as_text() -> None:
    assert table(("a",), [("<b>|`\n\x1b[31m",)]).splitlines()[2] == "| &lt;b&gt;\\|\\` ?\\[31m |"
    assert page({"a": "---\nb: 1"}, "text").split("\n") == ["---", '"a": "--- b: 1"', "---", "", "text", ""]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("test", 3)):
        for number in range(count):
            folder = tmp_path / "pictures" / split / f"class{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(folder / f"{number}.png")
    settings = i2e.datasets.Settings("0.12", shard_items=3, row_group=2)
    i2e.datasets.convert_dataset(tmp_path / "pictures", tmp_path / "shards", settings)
    return tmp_path / "shards"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mlcroissant's of rdflib
def test_mlcroissant_reads_every_record_of_shards(shards: Path, capsys: Captured) -> None:
    croissant = pytest.importorskip("mlcroissant")
    assert run(["report", str(shards), "--card", "--license", "cc-by-4.0"]) == 0
    data = croissant.Dataset(jsonld=str(shards / "croissant.json"))
    assert not data.metadata.issues.errors
    records = list(data.records(record_set="frames"))
    own = i2e.datasets.ShardDataset(shards)
    assert len(records) == len(own) == 8
    found = {(bytes(row["frames/data"]), int(row["frames/label"])) for row in records}
    from i2e_deploy.datasets.shard_dataset import Shards

    held = Shards(shards)
    assert found == {pair for number in range(len(held.groups)) for pair in held.read(number)}


def test_hugging_face_reads_the_card_of_shards(shards: Path, capsys: Captured) -> None:
    hub, datasets = pytest.importorskip("huggingface_hub"), pytest.importorskip("datasets")
    assert run(["report", str(shards), "--card", "--license", "cc-by-4.0"]) == 0
    card = hub.DatasetCard.load(shards / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.size_categories == ["n<1K"]
    loaded = datasets.load_dataset(str(shards), cache_dir=str(shards.parent / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 5, "test": 3}
    manifest = json.loads((shards / "manifest.json").read_text())
    assert i2e.datasets.convert_dataset(
        shards.with_name("pictures"), shards, i2e.datasets.Settings("0.12", shard_items=3, row_group=2)
    ) == manifest  # fmt: skip


def test_a_damaged_manifest_of_shards_is_refused(shards: Path, capsys: Captured) -> None:
    (shards / "manifest.json").write_text(json.dumps({"plan": {}, "shards": [{}]}))
    assert "does not hold what a card needs" in refused(capsys, "report", shards, "--card")
