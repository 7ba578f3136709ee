"""The definition: slow, obvious NumPy integers."""
