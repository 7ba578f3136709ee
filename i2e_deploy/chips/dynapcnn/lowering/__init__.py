"""From a float network to the chip's integers: stages, then scales."""
