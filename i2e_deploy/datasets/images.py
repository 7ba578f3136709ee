"""Grey pictures in memory to another size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.picture import pillow


def resize(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Grey images uint8 [N, H, W] to [N, size, size], bicubic, before any conversion.

    Bicubic on 8 bits is what the I2E data sets use; it gives their published event rate on MNIST.

    Raises:
        MissingDependency: pillow is not installed.
    """
    image = pillow()
    return np.stack([np.asarray(image.fromarray(i).resize((size, size), image.Resampling.BICUBIC)) for i in images])
