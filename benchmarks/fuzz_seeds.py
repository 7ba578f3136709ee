"""What the seeds are made of: drawn events, a small network, a picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


def some_events(count: int, seed: int, size: tuple[int, int] = (34, 34)) -> Any:
    """Drawn events [N], sorted."""
    from i2e_deploy.events import EVENT_DTYPE

    rng = np.random.default_rng(seed)
    made = np.empty(count, EVENT_DTYPE)
    made["t"] = np.sort(rng.integers(0, 100_000, count))
    made["x"], made["y"] = rng.integers(0, size[0], count), rng.integers(0, size[1], count)
    made["p"] = rng.integers(0, 2, count)
    return made


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


def picture(kind: str, frames: int = 1, size: tuple[int, int] = (13, 11)) -> bytes:
    """An encoded picture; several frames make an animation."""
    from PIL import Image

    rng, file = np.random.default_rng(1), io.BytesIO()
    made = [Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(frames)]
    more: dict[str, Any] = {"save_all": True, "append_images": made[1:], "duration": 40} if frames > 1 else {}
    made[0].save(file, kind, **more)
    return file.getvalue()
