"""The time-stepped semantics, exact to Sinabs: its definition, the fast engine, a step at a time."""
