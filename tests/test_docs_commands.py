"""Command lines of pages that no other test walks: each runs, in the order of its page, and ends as the page says."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from event_strategies import random_events
from pages import DOCS, fill_desk

import i2e_deploy as i2e
from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna
from i2e_deploy.cli.app import run as run_command
from i2e_deploy.events.files import write_events
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, chain

#: Lines that are not run here, by what they have, and why.
NOT_HERE = {
    "results.zip": "tests/bundle/test_jobs.py makes such a file",
    "--view": "ends when its reader ends it: tests/runtime/test_view.py",
    "camera://": "needs a camera: tests/events/test_cameras.py has a fake one",
    "--seconds 60": "takes a minute: tests/runtime/test_chip_camera.py has it shorter",
    "speck://": "tests/runtime/test_chip_camera.py",
    "recording.bag": "tests/events/test_ros_recordings.py",
    "clip.mp4": "tests/conversion/test_video_files.py",
    "demo_output/bundle --target board": "tests/runtime/test_chip_camera.py",
    "demo_output/bundle --replay": "tests/runtime/test_live_cli.py",
    "photos/ --out frames.npy": "of 32 pixels, and the desk's network takes 16: tests/cli/test_convert.py",
    "nmnist": "needs data of others: tests/datasets/test_overlap.py draws some",
    "recorded.nir": "tests/network/test_nir_judge.py",
    "--against sinabs": "warns of its own libraries: tests/network/test_nir_judge.py",
    "resnet18.safetensors": "needs such a checkpoint: tests/network/test_checkpoint.py, tests/chips/loihi2",
    "photos.zip": "needs a card of pictures: tests/cli/test_evaluate_by_names.py",
    "big.safetensors": "tests/test_docs.py has the way from a network that is too large to a bundle",
    "small.safetensors": "the same",
    "i2e-deploy train": "trains: tests/training and tests/test_docs_own_pictures.py",
    "--chip loihi2 --out answers.json": "needs Intel's extension of Lava: tests/chips/loihi2 has a stand-in",
    "best.pth.tar": "tests/network/test_checkpoint.py writes some",
    "i2e-deploy doctor": "tests/test_environment.py",
    "i2e-deploy live": "tests/runtime/test_live_cli.py",
    "compare trace.npz other.npz": "tests/cli/test_compare.py",
    "compare --record": "needs a record: tests/cli/test_compare_records.py",
}


def desk_of_a_board() -> None:
    """Recordings as a camera of today writes them, and a network by another name."""
    shutil.copy("network.safetensors", "my_network.safetensors")
    for name in ("recording.aedat4", "r.aedat4"):
        write_events(Path(name), random_events(400, 16, 16), (16, 16))


def demo_output() -> None:
    """What `make demo` leaves, but smaller."""
    Path("demo_output").mkdir()
    shutil.copy("network.safetensors", "demo_output/network.safetensors")
    shutil.copytree("my_bundle", "demo_output/bundle")


def event_files() -> None:
    """A table of text, and three seconds in EVT3."""
    Path("events.txt").write_text("".join(f"{3 + 7 * i} {i % 40} {i / 100:.6f} {i % 2}\n" for i in range(40)))
    write_events(Path("recording.raw"), random_events(900, 64, 48, span=6000), (64, 48))
    desk_of_a_board()


def readme() -> None:
    """The demo's output, and values instead of classes."""
    demo_output()
    event_files()
    shutil.rmtree("my_bundle")  # the page exports it
    frames = np.load("frames.npy")
    np.savez("steering.npz", frames=frames, targets=np.zeros((len(frames), 2)))


def nir() -> None:
    """A network without neurons that NIR has no field for, as a file of it."""
    i2e.network.write_nir(i2e.network.read("network.safetensors"), "network.nir")


def trinary() -> None:
    """A network whose weights are -1, 0 and 1."""
    rng, neuron = np.random.default_rng(0), IntegrateAndFire(2.0, -4.0, 1)
    conv = Conv2d(rng.integers(-1, 2, (4, 2, 3, 3)).astype(np.float32), stride=(4, 4), padding=(1, 1))
    last = Linear(rng.integers(-1, 2, (2, 4 * 4 * 4)).astype(np.float32))
    network = chain((2, 16, 16), {"c": conv, "n": neuron, "f": Flatten(), "l": last, "o": neuron})
    i2e.network.write(network, "network.safetensors")


def eye() -> None:
    """Pictures in folders by class."""
    shutil.copytree("photos", "pictures")


def pictures_in_order() -> None:
    """An image sequence."""
    Path("frames").mkdir()
    for index, path in enumerate(sorted(Path("photos").rglob("*.png"))):
        shutil.copy(path, f"frames/{index:03d}.png")


def nothing() -> None:
    """The desk is enough."""


PAGES: dict[str, Callable[[], None]] = {
    "../README.md": readme, "tutorials/board.md": desk_of_a_board, "dynapcnn.md": desk_of_a_board, "eye.md": eye,
    "event_files.md": event_files, "conversion.md": pictures_in_order, "nir.md": nir, "truenorth.md": trinary,
    "loihi2.md": demo_output, "silicon.md": nothing, "guides/share.md": nothing, "guides/neurobench.md": nothing,
    "guides/check_and_fit.md": nothing, "live.md": demo_output, "large_networks.md": nothing, "data.md": nothing,
}  # fmt: skip


def lines_of(page: str) -> list[str]:
    """Command lines of the page's blocks."""
    return [line for line in (DOCS / page).read_text().splitlines() if line.startswith("i2e-deploy ")]


def not_here(line: str) -> bool:
    return any(part in line for part in NOT_HERE)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if not all(map(not_here, lines_of(page)))])
def test_the_lines_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("faery", "pyarrow", "sinabs", "matplotlib", "jinja2"):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    fill_desk()
    PAGES[page]()
    with fake_samna():
        for line in lines_of(page):
            if not not_here(line):
                assert run_command(shlex.split(line, comments=True)[1:]) == ("exits with 1" in line), line


def test_what_is_left_out_is_somewhere_on_a_page() -> None:
    """A reason outlives its line otherwise; and the test that it names is there."""
    lines = [line for page in PAGES for line in lines_of(page)]
    for part, why in NOT_HERE.items():
        assert any(part in line for line in lines), part
        for path in re.findall(r"tests/[\w/]+(?:\.py)?", why):
            assert (DOCS.parent / path).exists(), path
