"""The fast engine, equal to the reference, and the session."""
