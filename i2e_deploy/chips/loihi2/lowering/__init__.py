"""From a float network to the integers of Loihi 2.

`arrange` makes stages of it (neurons and the linear maps that feed them), `schedule` counts the steps of the pipeline,
`forms` says which of the chip's neurons computes a float one, `quantise` chooses integers by range and `calibrate` on
frames, `losses` tells what each layer lost. `lower` joins them.
"""
