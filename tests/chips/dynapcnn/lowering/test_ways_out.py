"""What is to be used in place of a layer that a core does not have."""

from __future__ import annotations

from i2e_deploy.chips.dynapcnn.lowering.ways_out import way_out
from i2e_deploy.network import MaxPool2d, Pool2d


def test_the_average_in_place_of_a_maximum_gives_an_image_of_its_size() -> None:
    """The stem of MS-ResNet: a 3x3 maximum of stride 2, whose way out is no average of 3x3."""
    maximum, shape = MaxPool2d((3, 3), (2, 2), (1, 1)), (4, 16, 16)
    assert "nn.AvgPool2d((2, 2))" in way_out(maximum)
    assert Pool2d((2, 2)).output_shape([shape]) == maximum.output_shape([shape])
