"""Videos, as far as FFmpeg here has their codecs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fuzz_kind import SOME, Kind
from fuzz_seeds import picture


def videos(folder: Path) -> list[Kind]:
    """A kind for each container."""
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
    options = {"fflags": "+bitexact"} if path.suffix in (".mkv", ".webm") else {}  # else it holds a drawn number
    try:
        with av.open(str(path), "w", container_options=options) as container:
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
