"""The parts of the contract suite; `testing.chip_contract` puts them together."""
