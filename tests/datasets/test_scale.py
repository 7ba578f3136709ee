"""Conversion at scale: equal bytes for any worker count, executor, and number of kills."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import picture_bytes, tree_bytes, write_tree

from i2e_deploy.conversion import i2e_reference
from i2e_deploy.datasets.executors import run_tasks
from i2e_deploy.datasets.item import decode_item
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.plan import Settings, make_plan
from i2e_deploy.datasets.scale import Progress, convert_dataset
from i2e_deploy.errors import FileFormatError, InputError, MissingDependency

parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
pytest.importorskip("PIL")

SETTINGS = Settings("0.07", Resize(16), shard_items=4, row_group=2)
SUPPORT = Path(__file__).parent.parent / "support"

#: Run in a process of its own, which forks: children that are killed at their N-th access to the output
#: folder, for every N, each followed by one that finishes.
KILLER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from pictures import tree_bytes
from i2e_deploy.datasets.picture import Resize
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.errors import InputError
source, base = Path(sys.argv[1]), Path(sys.argv[2])
settings = Settings("0.07", Resize(16), shard_items=4, row_group=2)

def convert(out, fatal):
    child = os.fork()
    if child == 0:
        accesses = 0
        def count(event, args):
            nonlocal accesses
            if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir") and str(base) in str(args[0]):
                accesses += 1
                if accesses == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        try:
            convert_dataset(source, out, settings)
        except BaseException as error:
            print("child:", repr(error), flush=True)
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

convert_dataset(source, base / "whole", settings)  # here, so that the forks find all modules loaded
expected = tree_bytes(base / "whole")
kills = 0
while True:
    out = base / f"killed-{kills + 1}"
    status = convert(out, kills + 1)
    if status == 0:
        break
    assert status == -signal.SIGKILL, status
    kills += 1
    if kills % 4 == 0:
        assert convert(out, 6) in (0, -signal.SIGKILL)  # and once more
    assert convert(out, 0) == 0
    found = tree_bytes(out)
    assert found == expected, (kills, sorted(found), [k for k in found if found[k] != expected.get(k)])
print("kills", kills)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("images"), 20)


@pytest.fixture(scope="module")
def whole(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The result of one run in this process."""
    out = tmp_path_factory.mktemp("whole")
    convert_dataset(tree, out, SETTINGS)
    return tree_bytes(out)


def test_rows_are_the_reference(tree: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    seen = 0
    for name, data in whole.items():
        if not name.endswith(".parquet"):
            continue
        (tmp_path / "shard.parquet").write_bytes(data)
        table = parquet.ParquetFile(tmp_path / "shard.parquet")
        assert table.metadata.row_group(0).num_rows == 2
        assert table.schema_arrow.names == ["file_path", "label", "data"]
        for row in table.read().to_pylist():
            pixels = decode_picture((tree / row["file_path"]).read_bytes(), Resize(16))
            expected = i2e_reference(pixels.transpose(2, 0, 1)[None], "0.07")[0]
            np.testing.assert_array_equal(decode_item(row["data"]), expected)
            assert row["label"] == ("cat", "dog").index(row["file_path"].split("/")[1])
            assert name.startswith(row["file_path"].split("/")[0])
            seen += 1
    assert seen == 20


def test_manifest_names_the_bytes(whole: dict[str, bytes]) -> None:
    manifest = json.loads(whole["manifest.json"])
    assert sorted(whole) == sorted(["manifest.json", *(shard["file"] for shard in manifest["shards"])])
    for shard in manifest["shards"]:
        assert hashlib.sha256(whole[shard["file"]]).hexdigest() == shard["sha256"]
        assert len(whole[shard["file"]]) == shard["bytes"]
    assert sum(shard["rows"] for shard in manifest["shards"]) == manifest["plan"]["images"] == 20


def test_killed_at_every_access_to_the_folder(tmp_path: Path) -> None:
    tree, base = write_tree(tmp_path / "images", 9), tmp_path / "base"
    command = [sys.executable, "-W", "ignore", "-c", KILLER, str(tree), str(base), str(SUPPORT)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split()[-1]) > 12, run.stdout


def test_killed_with_workers_running(tree: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """SIGKILL to the parent of two workers as soon as one shard exists; then one worker finishes."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nfrom i2e_deploy.datasets.scale import convert_dataset\n"
        "from i2e_deploy.datasets.picture import Resize\nfrom i2e_deploy.datasets.plan import Settings\n"
        "if __name__ == '__main__':\n"
        "    settings = Settings('0.07', Resize(16), shard_items=4, row_group=2)\n"
        "    convert_dataset(sys.argv[1], sys.argv[2], settings, workers=2)\n"
    )
    out = tmp_path / "out"
    run = subprocess.Popen([sys.executable, str(script), str(tree), str(out)])
    deadline = time.monotonic() + 120
    while not list(out.glob("*.parquet")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    run.kill()
    run.wait()
    assert list(out.glob("*.parquet"))
    convert_dataset(tree, out, SETTINGS)
    assert tree_bytes(out) == whole


@pytest.mark.parametrize(("executor", "package"), [("process", "concurrent"), ("ray", "ray"), ("dask", "distributed")])
@pytest.mark.slow
def test_executors_give_the_same_bytes(
    tree: Path, whole: dict[str, bytes], tmp_path: Path, executor: str, package: str
) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    script = (
        "import sys, warnings\nif __name__ == '__main__':\n"
        "    from test_settings import SETTINGS\n    from i2e_deploy.datasets.scale import convert_dataset\n"
        "    convert_dataset(*sys.argv[1:3], SETTINGS, executor=sys.argv[3], workers=2)\n"
    )
    (tmp_path / "run.py").write_text(script)
    (tmp_path / "test_settings.py").write_text(
        "from i2e_deploy.datasets.picture import Resize\nfrom i2e_deploy.datasets.plan import Settings\n"
        "SETTINGS = Settings('0.07', Resize(16), shard_items=4, row_group=2)\n"
    )
    command = [sys.executable, str(tmp_path / "run.py"), str(tree), str(tmp_path / "out"), executor]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    assert tree_bytes(tmp_path / "out") == whole


def test_archives_give_the_same_shards(tree: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in tree.rglob("*.png"):
            archive.write(path, path.relative_to(tree).as_posix())
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for path in sorted(tree.rglob("*.png"), reverse=True):
            archive.add(path, path.relative_to(tree).as_posix())
    for name in ("a.zip", "a.tar"):
        convert_dataset(tmp_path / name, tmp_path / f"out-{name}", SETTINGS)
        assert tree_bytes(tmp_path / f"out-{name}") == whole


def test_parquet_of_images(tmp_path: Path) -> None:
    import pyarrow as pa

    images = [{"bytes": picture_bytes(i), "path": f"{i}.png"} for i in range(12)]
    table = pa.table({"image": images, "label": list(range(12))})
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=5)
    manifest = convert_dataset(tmp_path / "in.parquet", tmp_path / "out", SETTINGS)
    assert manifest["plan"]["classes"] == [str(i) for i in range(12)]
    rows = [
        row for shard in sorted((tmp_path / "out").glob("*.parquet")) for row in parquet.read_table(shard).to_pylist()
    ]
    for row in rows:
        pixels = decode_picture(images[row["label"]]["bytes"], Resize(16))
        np.testing.assert_array_equal(
            decode_item(row["data"]), i2e_reference(pixels.transpose(2, 0, 1)[None], "0.07")[0]
        )
    assert sorted(row["label"] for row in rows) == list(range(12))


def test_broken_image_is_named_and_skipped_or_fatal(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "images", 6)
    (tree / "train/cat/0002.png").write_bytes(picture_bytes(2)[:60])
    (tree / "train/cat/empty.jpg").write_bytes(b"")
    seen: list[Progress] = []
    manifest = convert_dataset(tree, tmp_path / "out", SETTINGS, progress=seen.append)
    assert [name for name, _ in manifest["skipped"]] == ["train/cat/0002.png", "train/cat/empty.jpg"]
    assert seen[-1] == Progress(done=7, skipped=2, total=7)
    strict = Settings("0.07", Resize(16), shard_items=4, row_group=2, on_broken="fail")
    with pytest.raises(FileFormatError, match=r"train/cat/0002\.png.*is not a whole picture"):
        convert_dataset(tree, tmp_path / "strict", strict)
    assert not [name for name in tree_bytes(tmp_path / "strict") if name.endswith((".tmp", "manifest.json"))]


def test_finished_work_is_not_repeated_nor_mixed(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = convert_dataset(tree, out, SETTINGS)
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert convert_dataset(tree, out, SETTINGS) == first
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == times
    with pytest.raises(InputError, match="other settings"):
        convert_dataset(tree, out, Settings("0.12", Resize(16), shard_items=4, row_group=2))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "x.parquet").write_bytes(b"")
    with pytest.raises(InputError, match="another origin"):
        convert_dataset(tree, tmp_path / "foreign", SETTINGS)


def test_plan_depends_on_names_only() -> None:
    names = ["b/2.png", "a/10.png", "train/x/1.png", "test/x/1.png"]
    plan = make_plan(names, SETTINGS)
    assert plan == make_plan(names[::-1], SETTINGS)
    assert plan.digest != make_plan(names[1:], SETTINGS).digest
    assert [shard.file.split("-")[0] for shard in plan.shards] == ["all", "test", "train"]
    with pytest.raises(InputError, match="no image"):
        make_plan([], SETTINGS)


def test_unknown_executor_and_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="spark"):
        run_tasks(len, [[1]], "spark")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match="ray"):
        list(run_tasks(len, [[1]], "ray"))


def test_labels_of_a_table_are_the_classes(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", 20)
    lines = [f"{number:04d}.png,{['red', 'green', 'blue'][number % 3]}" for number in range(20)]
    (tmp_path / "labels.csv").write_text("name,label\n" + "\n".join(lines))
    settings = Settings("0.07", Resize(8), shard_items=6, row_group=3)
    manifest = convert_dataset(tree, tmp_path / "out", settings, labels=tmp_path / "labels.csv")
    assert manifest["plan"]["classes"] == ["blue", "green", "red"]
    for path in sorted((tmp_path / "out").glob("*.parquet")):
        table = parquet.read_table(path)
        for name, label in zip(table["file_path"].to_pylist(), table["label"].to_pylist(), strict=True):
            number = int(Path(name).stem)
            assert ["blue", "green", "red"][label] == ["red", "green", "blue"][number % 3]
    with pytest.raises(InputError, match="holds a conversion with other"):
        convert_dataset(tree, tmp_path / "out", settings)
    (tmp_path / "labels.csv").write_text("0000.png,red\n")
    with pytest.raises(InputError, match="says nothing of 19 of 20 samples"):
        convert_dataset(tree, tmp_path / "new", settings, labels=tmp_path / "labels.csv")
