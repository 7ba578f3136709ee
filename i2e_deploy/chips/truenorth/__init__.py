"""IBM TrueNorth."""
