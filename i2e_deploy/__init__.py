"""From a picture to a neuromorphic chip.

    import i2e_deploy as i2e

    frames = i2e.conversion.convert(images, "0.1")  # pictures to events
    network = i2e.network.from_sinabs(model, (2, 32, 32), example=frames[:2])  # neutral between chips
    chip = i2e.chips.get("speck2f")
    print(chip.check(network))  # will it fit?
    program = chip.lower(network)  # the chip's integers
    print(i2e.runtime.evaluate(program, frames, labels))

Every package and every name in it is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from i2e_deploy import numba_cache as numba_cache  # decides where compiled kernels are kept, before numba is imported
from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy import bundle as bundle
    from i2e_deploy import chips as chips
    from i2e_deploy import conversion as conversion
    from i2e_deploy import datasets as datasets
    from i2e_deploy import errors as errors
    from i2e_deploy import events as events
    from i2e_deploy import network as network
    from i2e_deploy import reporting as reporting
    from i2e_deploy import runtime as runtime
    from i2e_deploy import testing as testing
    from i2e_deploy import training as training
    from i2e_deploy.version import __version__ as __version__
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "": "bundle chips conversion datasets errors events network reporting runtime testing training",
            "version": "__version__",
        },
    )
