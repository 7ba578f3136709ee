"""Lava, in a process of its own: the `fixed_pt` models on the CPU, or the chip."""
