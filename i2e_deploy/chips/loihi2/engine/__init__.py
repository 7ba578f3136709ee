"""The fast simulator, equal to `reference` on every input: what is prepared once, and compiled loops."""
