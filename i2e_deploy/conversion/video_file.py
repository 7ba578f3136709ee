"""Video files: pictures with the time at which each is shown, and whether the file was cut off.

FFmpeg plays what a cut file still holds and reports no error, so the signs of a cut are looked for here: a container
that states more bytes than the file has, a packet that ends too early, fewer packets or less time than the header says.
A stream that states neither size nor duration (a live WebM, an MPEG program stream) and is cut between two packets
shows no sign.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.video_cut import stated_end
from i2e_deploy.errors import FileFormatError, I2EDeployError, InputError, MissingDependency
from i2e_deploy.requirements import install_command
from i2e_deploy.text import one_line

#: Animations that Pillow reads.
PILLOW = (".gif", ".webp")
#: Largest picture.
MAX_PIXELS = 64_000_000
#: Called with what is wrong with a file that was cut off.
OnCut = Callable[[str], None]
#: (us at which a picture is shown, from the first; None where the file does not say, RGB picture uint8 [H, W, 3]).
Timed = tuple["int | None", NDArray[np.uint8]]


def timed_pictures(path: str | Path, max_pixels: int = MAX_PIXELS, on_cut: OnCut | None = None) -> Iterator[Timed]:
    """Pictures of a video, one at a time, each with its own time.

    Args:
        path: the file.
        max_pixels: largest picture that is read.
        on_cut: told why a file that was cut off ends; None: that is an error.

    Raises:
        InputError: no such file.
        FileFormatError: not a video, damaged, cut off (without `on_cut`), or pictures above `max_pixels`.
        MissingDependency: pillow or av is not installed.
    """
    path = _existing(path)
    count, cut = 0, stated_end(path)
    frames = (_pillow_frames if path.suffix.lower() in PILLOW else _av_frames)(path, max_pixels)
    with _faults(path):
        while True:
            try:
                with warnings.catch_warnings():  # Pillow's, of sizes that are refused here
                    warnings.simplefilter("ignore")
                    timed = next(frames, None)
            except Cut as error:
                cut = cut or str(error)
                break
            except I2EDeployError:
                raise
            except Exception as error:  # see `_faults`
                if cut is None and count == 0:
                    raise
                cut = cut or f"a picture cannot be decoded ({one_line(error)})"
                break
            if timed is None:
                break
            count += 1
            yield timed
        if cut is None:
            return
        if on_cut is None or count == 0:
            raise FileFormatError(
                f"{path}: is cut off after {count} pictures: {cut}; --broken skip takes what is there"
            )
        on_cut(f"{path} is cut off after {count} pictures: {cut}")


def stated_rate(path: str | Path) -> float | None:
    """See `video.video_rate`."""
    path = _existing(path)
    with _faults(path):
        if path.suffix.lower() in PILLOW:
            with _pillow_file(path) as file:
                shown_ms = file.info.get("duration", 0)
                return 1000 / shown_ms if shown_ms else None
        with _av_file(path) as container:
            rate = container.streams.video[0].average_rate
            return float(rate) if rate else None


class Cut(Exception):  # inside this module only
    """A file ends before it should."""


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return path


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What the libraries raise on a broken file (Pillow and PyAV a dozen kinds), as one error of ours."""
    try:
        yield
    except I2EDeployError:
        raise
    except Exception as error:
        raise FileFormatError(f"{path}: cannot be read as a video ({one_line(error)})") from None


def _pillow_file(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependency("pillow", "reading a GIF", install_command("pillow")) from None
    return Image.open(path, formats=("GIF", "WEBP"))


def _pillow_frames(path: Path, max_pixels: int) -> Iterator[Timed]:
    time: int | None = 0
    with _pillow_file(path) as file:
        from PIL import ImageSequence

        _check_pixels(path, file.width, file.height, max_pixels)
        for frame in ImageSequence.Iterator(file):
            picture = np.asarray(frame.convert("RGB"))
            shown_ms = frame.info.get("duration", 0)  # known when the picture is decoded
            yield time, picture
            time = None if time is None or not shown_ms else time + round(1000 * shown_ms)


@contextmanager
def _av_file(path: Path) -> Iterator[Any]:
    try:
        import av
    except ImportError:
        raise MissingDependency("av", f"reading {path.suffix} videos", install_command("av", "pillow")) from None
    # An open file and no protocols: a playlist cannot make FFmpeg open other files or addresses.
    with path.open("rb") as file, av.open(file, options={"protocol_whitelist": ""}) as container:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            raise FileFormatError(f"{path}: has no video stream that can be decoded")
        yield container


def _av_frames(path: Path, max_pixels: int) -> Iterator[Timed]:
    with _av_file(path) as container:
        stream = container.streams.video[0]
        _check_pixels(path, stream.codec_context.width, stream.codec_context.height, max_pixels)
        # MPEG program streams give times to some pictures only, and FFmpeg's guesses of the others repeat (measured:
        # 0.6 s twice); their rate is constant.
        steady = stream.average_rate if container.format.name == "mpeg" else None
        time: int | None
        start: int | None = None
        ends, packets, shown = Fraction(0), 0, 0
        for packet in container.demux():
            if packet.is_corrupt:
                raise Cut("a packet ends too early")
            if packet.pts is not None:
                ends = max(ends, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index != stream.index:
                continue
            packets += packet.size > 0
            for frame in packet.decode():
                _check_pixels(path, frame.width, frame.height, max_pixels)
                if frame.is_corrupt:
                    raise Cut(f"picture {shown + 1} lacks a part")
                start = frame.pts if start is None else start
                if steady is not None:
                    time = round(shown * 1_000_000 / steady)
                else:
                    known = frame.pts is not None and start is not None
                    time = round((frame.pts - start) * frame.time_base * 1_000_000) if known else None
                shown += 1
                yield time, np.asarray(frame.to_image().convert("RGB"))
        _check_whole(container, stream, packets, ends)


def _check_whole(container: Any, stream: Any, packets: int, ends: Fraction) -> None:
    """Raise Cut if fewer packets or less time came than the header states.

    Args:
        container, stream: of PyAV.
        packets: of the stream, that came.
        ends: latest end of a packet of any stream, s.
    """
    name = container.format.name
    if "mov" in name and packets < stream.frames:
        raise Cut(f"it has {packets} of {stream.frames} packets")
    if "matroska" in name and container.duration:
        stated, rate = Fraction(container.duration, 1_000_000), stream.average_rate
        slack = Fraction(2) / rate if rate else Fraction(1, 5)  # a last packet may have no duration
        if ends + slack < stated:
            raise Cut(f"it ends at {float(ends):.2f} s of {float(stated):.2f} s")


def _check_pixels(path: Path, width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise FileFormatError(f"{path}: {width} x {height} pixels, the limit is {limit}")
