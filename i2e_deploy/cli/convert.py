"""`i2e-deploy convert`: pictures become event frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    images: Annotated[Path, typer.Argument(help="A picture, or a folder of pictures.")],
    out: Annotated[Path, typer.Option(help="Frames to write (.npy), uint8 [N, 8, 2, size, size].")],
    ratio: Annotated[str, typer.Option(help="S_th0, the threshold as a share of the range of grey values.")] = "0.12",
    size: Annotated[int, typer.Option(help="Side of the square that pictures are resized and cropped to.")] = 128,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Convert pictures to event frames with I2E, eight steps each.

    Example: i2e-deploy convert photos/ --out frames.npy --ratio 0.12 --size 128
    """
    import numpy as np

    from i2e_deploy.cli.common import console, print_json, progress_bar
    from i2e_deploy.conversion import as_ratio, i2e_reference
    from i2e_deploy.datasets.images import find_images, read_images
    from i2e_deploy.errors import InputError
    from i2e_deploy.files import replacing

    if out.suffix != ".npy":
        raise InputError(f"--out is {out}: frames are an .npy file; give a name that ends so")
    if not 1 <= size <= 4096:
        raise InputError(f"--size is {size}: give 1 to 4096 pixels")
    threshold, paths = as_ratio(ratio), find_images(images)
    rates = np.zeros(8)
    with replacing(out) as temporary, progress_bar("converting", len(paths)) as advance:
        shape = (len(paths), 8, 2, size, size)
        frames = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)  # type: ignore[no-untyped-call]
        for i, path in enumerate(paths):
            frames[i] = i2e_reference(read_images([path], size), threshold)[0]
            rates += frames[i].mean(axis=(1, 2, 3)) / len(paths)
            advance(i + 1, path.name)
        frames.flush()
    if as_json:
        print_json({"frames": str(out), "shape": shape, "event_rate": rates.mean(), "per_step": rates.tolist()})
        return
    steps = " ".join(f"{100 * rate:.2f}" for rate in rates)
    console().print(f"wrote {out} {list(shape)}; event rate {100 * rates.mean():.2f} % (steps {steps})")
