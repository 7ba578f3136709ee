"""The drawn split: every class on both sides in its share, every source on one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.datasets.listing import list_names
from i2e_deploy.errors import InputError
from i2e_deploy.training.data import DataOptions
from i2e_deploy.training.data.split import balanced, divide, draw_split, sources_of


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32),
)
def test_every_class_has_its_share(counts: list[int], share: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    test = draw_split(labels, None, share, seed)
    for label, count in enumerate(counts):
        tested = int(test[labels == label].sum())
        assert abs(tested - share * count) <= 0.5 or tested == count - 1
        assert tested < count


@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=80), seed=st.integers(0, 2**32)
)
def test_a_source_is_on_one_side_and_every_class_trains(pairs: list[tuple[int, int]], seed: int) -> None:
    labels, sources = (np.array(column) for column in zip(*pairs, strict=True))
    test = draw_split(labels, [str(source) for source in sources], 0.3, seed)
    for source in set(sources):
        assert len(set(test[sources == source])) == 1
    assert set(labels[~test]) == set(labels)


def test_the_seed_draws_and_repeats() -> None:
    labels = np.repeat(np.arange(4), 25)
    first, again, other = (draw_split(labels, None, 0.2, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert first.sum() == other.sum() == 20


@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=4), most=st.integers(1, 30), seed=st.integers(0, 99))
def test_few_samples_are_balanced_and_grow(counts: list[int], most: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    numbers = np.arange(len(labels))
    chosen = balanced(numbers, labels, most, seed)
    assert len(chosen) == min(most, len(labels)) == len(set(chosen))
    assert set(chosen) <= set(balanced(numbers, labels, most + 1, seed))
    of_class = np.bincount(labels[chosen], minlength=len(counts))
    full = of_class == np.bincount(labels, minlength=len(counts))
    assert full.all() or of_class[~full].max() - of_class[~full].min() <= 1


def test_sources_by_pattern_and_by_table(tmp_path: Path) -> None:
    names = ["a/ann_1.npz", "a/ann_2.npz", "b/bob_1.npz"]
    assert sources_of(names, r"/(\w+)_\d") == ["ann", "ann", "bob"]
    assert sources_of(names, "ann|bob") == ["ann", "ann", "bob"]
    (tmp_path / "of.csv").write_text("ann_1,x\nann_2,y\nbob_1,x\n")
    assert sources_of(names, str(tmp_path / "of.csv")) == ["x", "y", "x"]
    with pytest.raises(InputError, match=r"found in 2 of 3 names, not in 'b/bob_1.npz'"):
        sources_of(names, "ann")
    with pytest.raises(InputError, match="no file, and no regular expression"):
        sources_of(names, "(")


def test_folders_say_the_split() -> None:
    names = [f"{part}/{name}/{i}" for part in ("train", "val", "test") for name in "ab" for i in range(3)]
    parts = divide(list_names(names, "first"), DataOptions())
    assert (len(parts.train), len(parts.test), parts.record["how"]) == (6, 6, "given")
    assert "6 samples of 'val' left out" in parts.notes
    with pytest.raises(InputError, match="name the parts all, train: expected train and test"):
        divide(list_names(["train/a/b/1", "c/1"], "first"), DataOptions())
    with pytest.raises(InputError, match="test part has classes that the training part lacks: c"):
        divide(list_names([*names, "test/c/1"], "first"), DataOptions())
    with pytest.raises(InputError, match="leave groups out"):
        divide(list_names(names, "first"), DataOptions(groups="."))


def test_a_class_of_one_source_is_said() -> None:
    names = [
        f"{name}/{source}_{i}" for name, sources in (("a", "xyz"), ("b", "w")) for source in sources for i in range(5)
    ]
    parts = divide(list_names(names, "first"), DataOptions(groups=r"/(\w)_"))
    assert any(note.endswith("of one source: b") for note in parts.notes)
    assert any("4 sources each on one side" in note for note in parts.notes)
