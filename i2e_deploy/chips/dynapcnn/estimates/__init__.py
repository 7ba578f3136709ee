"""What a run costs: load and delay of every core, power."""
