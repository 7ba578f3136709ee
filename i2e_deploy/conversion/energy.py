"""The paper's estimate of the energy of the first layer, as a formula with every factor an argument.

45 nm figures (Horowitz 2014): a 32-bit float multiply-accumulate costs 4.6 pJ, an addition 0.9 pJ. The
first layer only: a 7x7 convolution with stride 2 to 64 channels. These are estimates for comparing
networks on paper, not measurements of any chip.
"""

from __future__ import annotations

from dataclasses import dataclass

from i2e_deploy.errors import InputError

MAC_PJ = 4.6
ADD_PJ = 0.9


@dataclass(frozen=True)
class FirstLayerEnergy:
    """Microjoules an image: the conventional network, the conversion, and the spiking first layer."""

    ann_uj: float
    conversion_uj: float
    spiking_uj: float

    @property
    def advantage(self) -> float:
        """How many times less conversion and spiking layer take together."""
        return self.ann_uj / (self.conversion_uj + self.spiking_uj)


def first_layer_energy(
    event_rate: float, size: int = 224, steps: int = 8, kernel: int = 7, stride: int = 2, channels: int = 64
) -> FirstLayerEnergy:
    """The paper's formula (arXiv 2511.08065, "energy"), with the event rate that was measured.

    ANN: k * k * 3 * channels * (size / stride)^2 multiply-accumulates. Conversion: one subtraction a pixel
    and step. Spiking layer: k * k * 2 * channels * (size / stride)^2 additions a step, times the event rate.
    The paper puts the rate at 5 % and finds 18.9x; its own data set card gives 6.66 % for ImageNet, with
    which the same formula gives 14.3x.

    Args:
        event_rate: share of pixels, polarities and steps that fire, 0 to 1 (`frames.mean()`).
        size: pixels a side.
        steps: T.
        kernel: side of the convolution kernel.
        stride: of the convolution.
        channels: outputs of the convolution.

    Raises:
        InputError: a rate outside 0 to 1, or a size that is not positive.
    """
    if not 0 <= event_rate <= 1 or min(size, steps, kernel, stride, channels) < 1:
        raise InputError(f"event rate is {event_rate}: give 0 to 1; sizes, steps and channels must be positive")
    outputs = kernel * kernel * channels * (size // stride) ** 2
    return FirstLayerEnergy(
        ann_uj=3 * outputs * MAC_PJ / 1e6,
        conversion_uj=size * size * steps * ADD_PJ / 1e6,
        spiking_uj=2 * outputs * ADD_PJ * steps * event_rate / 1e6,
    )
