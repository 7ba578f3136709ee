"""Sessions, arrays, and JSON and TOML of ours."""

from __future__ import annotations

from dataclasses import asdict
from importlib import resources
from pathlib import Path

import numpy as np
from fuzz_kind import SOME, Kind
from fuzz_seeds import picture, some_events


def ours(folder: Path) -> list[Kind]:
    """All of them."""
    return [_session(folder), *_arrays(folder), *_settings(folder), _manifest(folder)]


def _session(folder: Path) -> Kind:
    from i2e_deploy.events.frames import FrameSpec
    from i2e_deploy.events.stream import StreamSpec
    from i2e_deploy.runtime.decider import LiveSpec
    from i2e_deploy.runtime.recording import Recorder
    from i2e_deploy.runtime.replaying import session_windows

    spec, path = LiveSpec(StreamSpec(4, 5000), FrameSpec((34, 34), (2, 8, 8))), folder / "s.session"
    path.unlink(missing_ok=True)
    recorder = Recorder(path, {"spec": asdict(spec), "program": "x", "source": "fake://", "seed": 0})
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

    return Kind("session", "sessions", ".session", (path.read_bytes(),), session)


def _arrays(folder: Path) -> list[Kind]:
    from i2e_deploy.files import read_array, read_arrays

    def array(path: Path) -> str:
        np.asarray(read_array(path)).sum()
        return "read"

    def arrays(path: Path) -> str:
        read_arrays(path)
        return "read"

    grid = np.arange(120).reshape(2, 3, 4, 5)
    np.save(folder / "a.npy", grid)
    np.savez_compressed(folder / "a.npz", frames=grid, labels=np.arange(2))
    return [
        Kind("array npy", "arrays", ".npy", ((folder / "a.npy").read_bytes(),), array),
        Kind("arrays npz", "arrays", ".npz", ((folder / "a.npz").read_bytes(),), arrays),
    ]


def _settings(folder: Path) -> list[Kind]:
    """A chip's profile, and the coefficients of its power."""
    import hardware_profiles
    from i2e_deploy.chips.dynapcnn.estimates.power import Coefficients
    from i2e_deploy.chips.dynapcnn.estimates.power_file import read_coefficients, write_coefficients
    from i2e_deploy.chips.profile import load_profile, parse_profile

    def profile(path: Path) -> str:
        parse_profile(path.read_bytes(), path.name)
        return "read"

    def power(path: Path) -> str:
        read_coefficients(path, "speck2f")
        return "read"

    write_coefficients(Coefficients(1e-3, 1e-12, 1e-12, "board", 3, 1e-6), "speck2f", folder / "power.json")
    load_profile("speck2f")
    toml = (resources.files(hardware_profiles) / "speck2f.toml").read_bytes()
    return [
        Kind("profile toml", "JSON and TOML", ".toml", (toml,), profile),
        Kind("power json", "JSON and TOML", ".json", ((folder / "power.json").read_bytes(),), power),
    ]


def _manifest(folder: Path) -> Kind:
    """The manifest of a conversion, which goes on."""
    from i2e_deploy.datasets.plan import Settings
    from i2e_deploy.datasets.scale import convert_dataset

    source, out = folder / "pictures", folder / "shards"
    source.mkdir(exist_ok=True)
    (source / "a.png").write_bytes(picture("PNG"))
    if not out.exists():
        convert_dataset(source, out, Settings("0.12"), workers=1)

    def manifest(path: Path) -> str:
        (out / "manifest.json").write_bytes(path.read_bytes())
        convert_dataset(source, out, Settings("0.12"), workers=1)
        return "read"

    whole = (out / "manifest.json").read_bytes()
    return Kind("conversion manifest", "JSON and TOML", ".json", (whole,), manifest)
