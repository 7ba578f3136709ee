"""The definition: slow, obvious NumPy, one file a semantics, and the blocks around the cores."""
