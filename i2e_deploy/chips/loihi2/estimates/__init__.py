"""Time and energy, as ranges with their sources."""
