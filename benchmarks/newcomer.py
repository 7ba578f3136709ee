"""What a newcomer waits for: every tutorial from a fresh clone, its blocks and command lines in order.

Run: python benchmarks/newcomer.py [PAGE ...]. Its interpreter needs what the pages need (snntorch). Each page starts
with an empty cache of compiled kernels, and gets a small network where it says "your network". Times are of the wall
clock and of the processor; on a busy machine only the second says something.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows import machine

ROOT = Path(__file__).parent.parent
#: What a page expects to find, as a program for the folder in which it runs.
NETWORK = """
import numpy as np, i2e_deploy as i2e
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, chain
draw, fires = np.random.default_rng(0), IntegrateAndFire(1.0, -1.0)
conv, last = draw.normal(0.1, 0.3, (8, 2, 3, 3)), draw.normal(0.02, 0.2, (10, 512))
ops = {"conv": Conv2d(conv.astype(np.float32), stride=(2, 2), padding=(1, 1)), "lif": fires, "flat": Flatten(),
       "fc": Linear(last.astype(np.float32)), "out": fires}
network = chain((2, 16, 16), ops)
i2e.network.write(network, "network.safetensors")
frames = (draw.random((20, 8, 2, 16, 16)) < 0.2).astype(np.uint8)
np.save("frames.npy", frames[:4])
np.savez("frames.npz", frames=frames, labels=i2e.chips.get("speck2f").lower(network).run(frames).decisions())
"""
PREPARED = {"ci.md": NETWORK}
#: How a program of a page is started, by its first word.
RUN = {
    "mkdir": "import sys, pathlib; pathlib.Path(sys.argv[-1]).mkdir(parents=True, exist_ok=True)",
    "i2e-deploy": "from i2e_deploy.cli import main; main()",
    "pytest": "import sys, pytest; sys.exit(pytest.main(['-p', 'i2e_deploy.testing.plugin', *sys.argv[1:]]))",
}
#: Lines of a page that need what is not here.
BOARD = re.compile(r"--target board|results\.zip|readings\.csv|recordings?(/|\.aedat4)")


def parts(page: Path) -> list[tuple[str, str]]:
    """("python", block) and ("shell", line), in the order of the page."""
    found: list[tuple[str, str]] = []
    for kind, body in re.findall(r"```(\w*)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if kind == "python":
            found.append(("python", body))
        elif not kind:
            lines = (line.split(" #")[0].strip() for line in body.splitlines())
            found += [("shell", line) for line in lines if line.startswith(("i2e-deploy ", "pytest --i2e", "mkdir "))]
    return found


def program(page: Path) -> str:
    """The page as one program: its blocks share their names, as for a reader with one session."""
    lines = ["import subprocess, sys"]
    for kind, text in parts(page):
        if kind == "python":
            lines.append(text)
        elif BOARD.search(text):
            lines.append(f"print('left out:', {text!r}, flush=True)")
        else:
            name, *words = shlex.split(text)
            command = f"[sys.executable, '-c', {RUN[name]!r}, *{words!r}]"
            lines.append(f"assert subprocess.run({command}).returncode == 0, {text!r}")
    return "\n".join(lines)


def timed(page: Path, clone: Path, folder: Path) -> tuple[float, float, str]:
    """Seconds of the wall clock and of the processor, and the last line of an error ("" if there is none)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(clone), os.environ.get("PYTHONPATH", "")]),
                   "NUMBA_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "2"}  # fmt: skip
    if prepared := PREPARED.get(page.name):
        subprocess.run([sys.executable, "-c", prepared], cwd=folder, check=True)  # noqa: S603  # with a cache of its own
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program(page)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, (done.stderr.strip().splitlines() or ["no message"])[-1] if done.returncode else ""


def main(names: list[str]) -> None:
    """A line for each page."""
    print(machine())
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; date: {time.strftime('%Y-%m-%d')}")
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        subprocess.run(["git", "clone", "-q", "--local", str(ROOT), str(clone)], check=True)  # noqa: S603, S607
        pages = [clone / "docs" / "tutorials" / name for name in names]
        for page in pages or sorted((clone / "docs" / "tutorials").glob("*.md")):
            folder = Path(name) / page.stem
            folder.mkdir()
            wall, cpu, error = timed(page, clone, folder)
            steps = [text for kind, text in parts(page) if kind == "python" or not BOARD.search(text)]
            told = f"STOPPED: {error}" if error else "all steps ran"
            print(f"{page.name:28} {len(steps):2} steps {wall:7.1f} s wall {cpu:7.1f} s processor  {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
