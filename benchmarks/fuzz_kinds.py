"""Every reader of files, with whole files to start from: what `fuzz.py` and the tests mutate.

A kind makes its seeds by code and reads a file as a user would. Its reader returns "read" or "salvaged" (what could be
read of a damaged file), or raises.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

Read = Callable[[Path], str]
#: Frames that are taken of a video, and rows of a table.
SOME = 200


@dataclass(frozen=True)
class Kind:
    """A kind of files.

    Args:
        name: e.g. `"events evt3"`.
        room: of the table.
        suffix: of its files.
        seeds: whole files.
        read: reads one.
    """

    name: str
    room: str
    suffix: str
    seeds: tuple[bytes, ...]
    read: Read


def kinds(folder: Path, only: str = "") -> list[Kind]:
    """All kinds whose name contains one of `only` (separated by commas); `folder` is for files in passing."""
    from fuzz_files_of_others import files_of_others
    from fuzz_networks import later_networks

    makers: dict[Callable[[Path], list[Kind]], tuple[str, ...]] = {
        events: ("events",), files_of_others: ("events",), networks: ("network",), later_networks: ("network",),
        bundles: ("bundle",), tables: ("shards", "pictures"), pictures: ("picture",), archives: ("archive",),
        videos: ("video",), ours: ("session", "array", "arrays", "profile", "power", "conversion"),
    }  # fmt: skip
    wanted = only.split(",")
    first, known = {part.split(" ")[0] for part in wanted}, {word for words in makers.values() for word in words}
    made: list[Kind] = []
    for make, words in makers.items():  # seeds take seconds: those that cannot be wanted are not made
        if not first <= known or first & set(words):
            made += make(folder)
    return [kind for kind in made if any(part in kind.name for part in wanted)]


def some_events(count: int, seed: int, size: tuple[int, int] = (34, 34)) -> Any:
    """Drawn events [N], sorted."""
    from i2e_deploy.events import EVENT_DTYPE

    rng = np.random.default_rng(seed)
    made = np.empty(count, EVENT_DTYPE)
    made["t"] = np.sort(rng.integers(0, 100_000, count))
    made["x"], made["y"] = rng.integers(0, size[0], count), rng.integers(0, size[1], count)
    made["p"] = rng.integers(0, 2, count)
    return made


def events(folder: Path) -> list[Kind]:
    from i2e_deploy.events.files import open_events, write_events
    from i2e_deploy.events.formats import FORMATS

    def reader(name: str) -> Read:
        def read(path: Path) -> str:
            with open_events(path, name, (34, 34), damaged="salvage") as stream:
                for packet in stream:
                    assert len(packet) == 0 or int(packet["x"].max()) < 2**16
                return "salvaged" if stream.damage else "read"

        return read

    found = []
    for name, format_ in FORMATS.items():
        suffix, seeds = (*format_.suffixes, ".raw")[0], []
        for count in (3, 400) if format_.write is not None else ():
            path = folder / f"seed{suffix}"
            write_events(path, some_events(count, count), (34, 34), format=name)
            seeds.append(path.read_bytes())
        if seeds:
            found.append(Kind(f"events {name}", "event files", suffix, tuple(seeds), reader(name)))
    return found


def small_network() -> Any:
    """A float network [2, 8, 8] -> 3."""
    from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, chain

    rng = np.random.default_rng(0)
    ops: dict[str, Any] = {
        "c": Conv2d(rng.standard_normal((2, 2, 3, 3)).astype("f4")),
        "n": IntegrateAndFire(1.0, -1.0),
    }
    ops |= {"f": Flatten(), "d": Linear(rng.standard_normal((3, 72)).astype("f4")), "m": IntegrateAndFire(1.0, -1.0)}
    return chain((2, 8, 8), ops)


def networks(folder: Path) -> list[Kind]:
    from i2e_deploy import hdf5_child
    from i2e_deploy.chips import read_model
    from i2e_deploy.network import write_nir
    from i2e_deploy.network.file import write_network
    from i2e_deploy.network.nir.data import read_nir_data

    hdf5_child.LEAST = 1.0  # what hangs costs its limit

    def model(path: Path) -> str:
        read_model(path, (2, 8, 8) if path.suffix == ".net" else None)
        return "read"

    def data(path: Path) -> str:
        read_nir_data(path, 1.0)
        return "read"

    write_network(small_network(), folder / "n.safetensors")
    write_nir(small_network(), folder / "n.nir")
    _netx(folder / "n.net")
    _nir_data(folder / "d.nir")
    return [
        Kind(f"network {name}", "networks", suffix, ((folder / file).read_bytes(),), read)
        for name, suffix, file, read in (
            ("safetensors", ".safetensors", "n.safetensors", model),
            ("nir", ".nir", "n.nir", model),
            ("netx", ".net", "n.net", model),
            ("nir data", ".nir", "d.nir", data),
        )
    ]


def _netx(path: Path) -> None:
    """A dense layer, as lava-dl writes it; its kind a string of variable length."""
    import h5py

    with h5py.File(path, "w") as file:
        for index, (kind, shape) in enumerate((("conv", (4, 4, 4)), ("flatten", (64, 1, 1)), ("dense", (5,)))):
            layer = file.create_group(f"layer/{index}")
            layer.create_dataset("type", (1,), "S10", [kind.encode()])
            layer["shape"] = np.array(shape)
            if kind != "flatten":
                for key, value in {"type": "CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 80}.items():
                    layer[f"neuron/{key}"] = value
        conv = file["layer/0"]
        conv["weight"] = np.full((4, 2, 3, 3), 4.0, np.float32)
        conv["groups"], conv["stride"] = 1, np.array([2, 2])
        conv["padding"], conv["dilation"] = np.array([1, 1]), np.array([1, 1])
        file["layer/2/weight"] = np.arange(5 * 64, dtype=np.float32).reshape(5, 64) - 160


def _nir_data(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        node = file.create_group("nodes/n")
        node.attrs["__type__"] = "NIRNodeData"
        spikes = node.create_group("observables/spikes")
        spikes.attrs["__type__"] = "EventData"
        spikes.attrs["n_neurons"], spikes.attrs["t_max"] = 3, 4.0
        spikes["idx"], spikes["time"] = np.array([[0, 1, -1]]), np.array([[0.0, 2.0, np.inf]])


def bundles(folder: Path) -> list[Kind]:
    """A mutated file of a bundle, whose checksum in the manifest is put right; and the manifest itself."""
    from i2e_deploy import bundle
    from i2e_deploy.bundle.bundle import GOLDEN, MANIFEST, NETWORK, PROGRAM
    from i2e_deploy.bundle.evaluation import leave_evaluation, read_evaluation
    from i2e_deploy.chips import get
    from i2e_deploy.files import sha256

    home = folder / "bundle"
    if not home.exists():
        frames = np.random.default_rng(0).integers(0, 3, (1, 2, 2, 8, 8))
        made = bundle.write(home, get("speck2f"), small_network(), frames)
        leave_evaluation(made, {"targets": {"simulator": {"accuracy": 1.0}}}, "drawn", "timestep")
    whole = {name: (home / name).read_bytes() for name in (MANIFEST, NETWORK, PROGRAM, GOLDEN, "evaluation.json")}

    def reader(name: str) -> Read:
        def read(path: Path) -> str:
            try:
                (home / name).write_bytes(path.read_bytes())
                if name in (NETWORK, PROGRAM, GOLDEN):
                    manifest = json.loads(whole[MANIFEST])
                    manifest["files"][name]["sha256"] = sha256(home / name)
                    (home / MANIFEST).write_text(json.dumps(manifest))
                read_evaluation(bundle.read(home))
            finally:
                for each in (name, MANIFEST):
                    (home / each).write_bytes(whole[each])
            return "read"

        return read

    return [Kind(f"bundle {name}", "bundles", Path(name).suffix, (data,), reader(name)) for name, data in whole.items()]


def tables(folder: Path) -> list[Kind]:
    """Shards, and pictures in Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    from i2e_deploy.conversion.engine import convert
    from i2e_deploy.conversion.vectors import kernel_table, saccades
    from i2e_deploy.datasets.item import encode_item
    from i2e_deploy.datasets.shard_dataset import Shards
    from i2e_deploy.datasets.sources import ParquetSource

    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), dtype=np.uint8)
    packed = convert(pixels, "0.12", kernel_table(saccades()), packed=True, on_first=True, threads=1)
    item = encode_item(packed[0], (8, 2, 8, 8))
    write: Any = parquet.write_table
    rows = {"file_path": ["a", "b"], "label": [0, 1], "data": [item, item]}
    write(pa.table(rows), folder / "s.parquet", compression="zstd", write_page_checksum=True)
    write(pa.table(rows), folder / "t.parquet", compression="snappy", row_group_size=1)
    cells = [{"bytes": picture("PNG"), "path": "x"}, {"bytes": picture("JPEG"), "path": "y"}]
    write(pa.table({"image": cells, "label": [0, 1]}), folder / "p.parquet")

    def shards(path: Path) -> str:
        found = Shards(path)
        for number in range(min(len(found.groups), SOME)):
            for row, pair in enumerate(found.read(number)[:SOME]):
                found.sample(number, row, pair)
        return "read"

    def source(path: Path) -> str:
        found = ParquetSource([path])
        for name in found.names()[:SOME]:
            found.read(name)
        return "read"

    both = tuple((folder / f"{name}.parquet").read_bytes() for name in "st")
    return [
        Kind("shards", "shards", ".parquet", both, shards),
        Kind("pictures parquet", "archives", ".parquet", ((folder / "p.parquet").read_bytes(),), source),
    ]


def picture(kind: str, frames: int = 1, size: tuple[int, int] = (13, 11)) -> bytes:
    """An encoded picture; several frames make an animation."""
    from PIL import Image

    rng, file = np.random.default_rng(1), io.BytesIO()
    made = [Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(frames)]
    more: dict[str, Any] = {"save_all": True, "append_images": made[1:], "duration": 40} if frames > 1 else {}
    made[0].save(file, kind, **more)
    return file.getvalue()


def pictures(folder: Path) -> list[Kind]:
    from i2e_deploy.datasets.picture import FORMATS, Resize, decode_picture

    del folder

    def read(path: Path) -> str:
        decode_picture(path.read_bytes(), Resize(16), path.name)
        return "read"

    return [Kind(f"picture {kind}", "pictures", f".{kind.lower()}", (picture(kind),), read) for kind in FORMATS]


def archives(folder: Path) -> list[Kind]:
    import tarfile

    from i2e_deploy.datasets.sources import TarSource, ZipSource

    files = {"train/cat/a.png": picture("PNG"), "train/dog/b.jpg": picture("JPEG")}
    packed, plain = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in files.items():
            archive.writestr(name, data)
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))

    def reader(kind: type[ZipSource] | type[TarSource]) -> Read:
        def read(path: Path) -> str:
            source = kind(path)
            for name in source.names()[:SOME]:
                source.read(name)
            return "read"

        return read

    del folder
    return [
        Kind("archive zip", "archives", ".zip", (packed.getvalue(),), reader(ZipSource)),
        Kind("archive tar", "archives", ".tar", (plain.getvalue(),), reader(TarSource)),
    ]


def videos(folder: Path) -> list[Kind]:
    from i2e_deploy.conversion.video_file import timed_pictures

    def read(path: Path) -> str:
        said: list[str] = []
        for number, _ in enumerate(timed_pictures(path, on_cut=said.append)):
            if number == SOME:
                break
        return "salvaged" if said else "read"

    seeds = {".gif": picture("GIF", 4), ".webp": picture("WEBP", 4)}
    for suffix, codec in (
        (".mkv", "mpeg4"),
        (".mp4", "mpeg4"),
        (".avi", "mjpeg"),
        (".webm", "libvpx"),
        (".mpg", "mpeg1video"),
    ):
        made = _video(folder / f"v{suffix}", codec)
        if made:
            seeds[suffix] = made
    return [Kind(f"video {suffix[1:]}", "video", suffix, (data,), read) for suffix, data in seeds.items()]


def _video(path: Path, codec: str) -> bytes:
    """Five pictures; empty where FFmpeg lacks the codec."""
    import av
    from av.error import FFmpegError

    rng = np.random.default_rng(2)
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = 32, 32
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for _ in range(5):
                shown = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
            container.mux(stream.encode())
    except (FFmpegError, ValueError):
        return b""
    return path.read_bytes()


def ours(folder: Path) -> list[Kind]:
    """Sessions, arrays, and JSON and TOML of ours."""
    from i2e_deploy.chips.dynapcnn.estimates.power import Coefficients
    from i2e_deploy.chips.dynapcnn.estimates.power_file import read_coefficients, write_coefficients
    from i2e_deploy.chips.profile import load_profile, parse_profile
    from i2e_deploy.datasets.plan import Settings
    from i2e_deploy.datasets.scale import convert_dataset
    from i2e_deploy.events.frames import FrameSpec
    from i2e_deploy.events.stream import StreamSpec
    from i2e_deploy.files import read_array, read_arrays
    from i2e_deploy.runtime.decider import LiveSpec
    from i2e_deploy.runtime.recording import Recorder
    from i2e_deploy.runtime.replaying import session_windows

    spec = LiveSpec(StreamSpec(4, 5000), FrameSpec((34, 34), (2, 8, 8)))
    (folder / "s.session").unlink(missing_ok=True)
    recorder = Recorder(folder / "s.session", {"spec": asdict(spec), "program": "x", "source": "fake://", "seed": 0})
    for part in np.array_split(some_events(300, 5), 4):
        recorder.packet(part)
        recorder.decision({"windows": [0], "choice": 1}, 0.001)
    recorder.advance(200_000)
    recorder.restart()
    recorder.close({"events": 300})

    def session(path: Path) -> str:
        for number, _ in enumerate(session_windows(path)):
            if number == 10 * SOME:
                break
        return "read"

    def array(path: Path) -> str:
        np.asarray(read_array(path)).sum()
        return "read"

    def arrays(path: Path) -> str:
        read_arrays(path)
        return "read"

    def profile(path: Path) -> str:
        parse_profile(path.read_bytes(), path.name)
        return "read"

    def power(path: Path) -> str:
        read_coefficients(path, "speck2f")
        return "read"

    source, out = folder / "pictures", folder / "shards"
    source.mkdir(exist_ok=True)
    (source / "a.png").write_bytes(picture("PNG"))
    if not out.exists():
        convert_dataset(source, out, Settings("0.12"), workers=1)

    def manifest(path: Path) -> str:
        (out / "manifest.json").write_bytes(path.read_bytes())
        convert_dataset(source, out, Settings("0.12"), workers=1)
        return "read"

    grid = np.arange(120).reshape(2, 3, 4, 5)
    np.save(folder / "a.npy", grid)
    np.savez_compressed(folder / "a.npz", frames=grid, labels=np.arange(2))
    write_coefficients(Coefficients(1e-3, 1e-12, 1e-12, "board", 3, 1e-6), "speck2f", folder / "power.json")
    load_profile("speck2f")
    from importlib import resources

    import hardware_profiles

    toml = (resources.files(hardware_profiles) / "speck2f.toml").read_bytes()
    found = [
        Kind("session", "sessions", ".session", ((folder / "s.session").read_bytes(),), session),
        Kind("array npy", "arrays", ".npy", ((folder / "a.npy").read_bytes(),), array),
        Kind("arrays npz", "arrays", ".npz", ((folder / "a.npz").read_bytes(),), arrays),
        Kind("profile toml", "JSON and TOML", ".toml", (toml,), profile),
        Kind("power json", "JSON and TOML", ".json", ((folder / "power.json").read_bytes(),), power),
    ]
    whole = (out / "manifest.json").read_bytes()
    return [*found, Kind("conversion manifest", "JSON and TOML", ".json", (whole,), manifest)]
