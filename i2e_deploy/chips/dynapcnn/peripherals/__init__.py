"""The chip's blocks around its cores: pre-processing and event filter before, readout behind."""
