"""Settings of all tests."""

from hypothesis import settings

# The examples are the same on every run: a failure in CI is one that anybody can repeat.
settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")
