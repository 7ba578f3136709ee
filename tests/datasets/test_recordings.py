"""Recordings as data sets: folders by class, and tonic's own data sets read from small files laid out as theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from i2e_deploy.datasets.recordings import FromTonic, RecordingFolder, from_tonic, to_tonic
from i2e_deploy.errors import InputError
from i2e_deploy.events import Events, check_events, empty_events
from i2e_deploy.events.files import write_events

SIZE = (6, 5)


def some_events(seed: int, count: int = 50) -> Events:
    rng = np.random.default_rng(seed)
    events = empty_events(count)
    events["t"] = np.sort(rng.integers(0, 8000, count))
    events["x"], events["y"], events["p"] = (
        rng.integers(0, SIZE[0], count),
        rng.integers(0, SIZE[1], count),
        rng.integers(0, 2, count),
    )
    return events


def counted(events: Events, steps: int, size: tuple[int, int]) -> NDArray[np.int64]:
    """Frames event by event: bins of floor(duration / steps) us, the last takes the rest."""
    counts = np.zeros((steps, 2, size[1], size[0]), np.int64)
    first = int(events["t"][0])
    length = (int(events["t"][-1]) - first) // steps
    for event in events:
        step = min((int(event["t"]) - first) // length, steps - 1)
        counts[step, event["p"], event["y"], event["x"]] += 1
    return counts


def test_recordings_by_class(tmp_path: Path) -> None:
    for index, name in enumerate(("b", "a", "a")):
        (tmp_path / name).mkdir(exist_ok=True)
        np.save(tmp_path / name / f"{index}.npy", some_events(index))
    dataset = RecordingFolder(tmp_path, SIZE, steps=4)
    assert dataset.classes == ("a", "b")
    assert [label for _, label in dataset.files] == [0, 0, 1]
    frames, label = dataset[2]
    np.testing.assert_array_equal(frames, counted(some_events(0), 4, SIZE))
    assert label == 1
    binary, _ = RecordingFolder(tmp_path, SIZE, steps=4, binary=True)[2]
    np.testing.assert_array_equal(binary, frames.clamp(max=1))
    named = RecordingFolder(tmp_path, SIZE, classes=("zebra", "b", "a"))
    assert [label for _, label in named.files] == [1, 2, 2]
    with pytest.raises(InputError, match="has classes that are not named: b; named are a"):
        RecordingFolder(tmp_path, SIZE, classes=("a",))
    with pytest.raises(InputError, match="limit is 3"):
        RecordingFolder(tmp_path, (4, 5))[0]
    with pytest.raises(InputError, match="no recordings"):
        RecordingFolder(tmp_path / "a", SIZE)


def test_events_to_tonic_and_back() -> None:
    events = some_events(0)
    np.testing.assert_array_equal(from_tonic(to_tonic(events)), events)
    with pytest.raises(InputError, match="expected t, x, y, p"):
        from_tonic(np.zeros(3))


def test_tonic_transforms() -> None:
    transforms = pytest.importorskip("tonic.transforms")
    events = some_events(0)
    flipped = check_events(from_tonic(transforms.RandomFlipLR((*SIZE, 2), p=1)(to_tonic(events))), *SIZE)
    np.testing.assert_array_equal(np.sort(flipped["x"]), np.sort(5 - events["x"]))


def lay_out(name: str, root: Path, events: Events) -> int | str:
    """Write `events` where tonic's data set `name` looks for a recording; returns its label."""
    if name == "DVSGesture":  # [x, y, p, t in ms]
        folder = root / name / "ibmGestureTest" / "user01_led"
        folder.mkdir(parents=True)
        rows = np.stack([events[field] for field in ("x", "y", "p", "t")], axis=1).astype(np.float64)
        rows[:, 3] /= 1000
        np.save(folder / "3.npy", rows)
        return 3
    path: Path = (
        root / name / {"NMNIST": "Test/7/1.bin", "NCALTECH101": "Caltech101/ant/1.bin"}.get(name, "bird/1.aedat4")
    )
    path.parent.mkdir(parents=True)
    write_events(path, events, (240, 180))
    labels: dict[str, int | str] = {"NMNIST": 7, "NCALTECH101": "ant"}
    return labels.get(name, 2)


@pytest.mark.parametrize("name", ["NMNIST", "NCALTECH101", "CIFAR10DVS", "DVSGesture"])
def test_tonic_data_sets(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("tonic.datasets")
    if name == "CIFAR10DVS":
        pytest.importorskip("aedat")  # tonic's reader of AEDAT4
        pytest.importorskip("faery")  # our writer
    theirs = getattr(datasets, name)
    monkeypatch.setattr(theirs, "_check_exists", lambda self: True)  # it counts thousands of files
    events = some_events(1)
    events["t"] = events["t"] // 1000 * 1000  # DVSGesture has ms
    label = lay_out(name, tmp_path, events)
    options: dict[str, Any] = {"train": False} if name in ("NMNIST", "DVSGesture") else {}
    source = theirs(str(tmp_path), **options)
    if name == "NCALTECH101":
        with pytest.raises(InputError, match="NCALTECH101 states no sensor size"):
            FromTonic(source)
        assert events["x"].min() == events["y"].min() == 0  # tonic moves recordings to the corner
    dataset = FromTonic(source, (240, 180) if name == "NCALTECH101" else None, steps=4)
    frames, number = dataset[0]
    assert len(dataset) == 1
    assert (dataset.classes[number] if dataset.classes else number) == label
    size = (frames.shape[3], frames.shape[2])
    np.testing.assert_array_equal(frames, counted(events, 4, size))


def test_tonic_item_beyond_its_sensor(tmp_path: Path) -> None:
    tonic = pytest.importorskip("tonic")

    class Recordings(tonic.Dataset):  # type: ignore[misc,name-defined]
        sensor_size = (4, 5, 2)

        def __init__(self) -> None:
            super().__init__(str(tmp_path))

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return to_tonic(some_events(index)), index

    with pytest.raises(InputError, match=r"Recordings item 0: event \d+ has x"):
        FromTonic(Recordings())[0]


def tonic_like(**columns: Any) -> Any:
    """A structured array as tonic has them, with these columns in place of good ones."""
    good: dict[str, Any] = {"x": [1, 2, 3], "y": [4, 5, 6], "t": [7, 8, 9], "p": [0, 1, 1]}
    arrays = {name: np.asarray(values) for name, values in {**good, **columns}.items()}
    made = np.empty(3, [(name, array.dtype) for name, array in arrays.items()])
    for name, array in arrays.items():
        made[name] = array
    return made


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("t", [0.25, 1.5, 2.0], r"event 0 has t = 0.25: .*times in seconds"),
        ("t", [1.0, np.nan, 2.0], "event 1 has t = nan"),
        ("t", [1.0, 2.0, np.inf], "event 2 has t = inf"),
        ("t", [1, 2, 2**63 - 1], "event 2 has t = 9223372036854775807"),
        ("x", [1, 70_000, 2], "event 1 has x = 70000: expected a whole number from 0 to 65535"),
        ("y", [1, -1, 2], "event 1 has y = -1"),
        ("x", [0.5, 1, 2], "event 0 has x = 0.5"),
        ("p", [1, -1, 1], "event 1 has p = -1: expected a whole number from 0 to 1: 0 is OFF"),
        ("p", ["ON", "OFF", "ON"], "field p is <U3"),
    ],
)
def test_from_tonic_refuses_what_a_cast_would_change(column: str, values: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_tonic(tonic_like(**{column: values}))


@pytest.mark.parametrize("seed", range(10))
def test_from_tonic_takes_every_dtype_that_holds_the_values(seed: int) -> None:
    """And gives the same back through `to_tonic`."""
    random = np.random.default_rng(seed)
    t = np.sort(random.integers(0, 100, 3))
    kinds = random.choice(["<i2", "<u4", "<i8", "<f4", "<f8", "u1"], 3)
    made = tonic_like(
        t=t.astype(kinds[0]), x=np.array([1, 2, 3], kinds[1]), y=np.array([4, 5, 6], kinds[2]), p=[False, True, True]
    )
    ours = from_tonic(made)
    assert ours.tolist() == [(int(t[i]), i + 1, i + 4, int(i > 0)) for i in range(3)]
    np.testing.assert_array_equal(from_tonic(to_tonic(ours)), ours)
