"""Settings of all tests."""

import os

from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see i2e_deploy/cli/app.py

# The examples are the same on every run: a failure in CI is one that anybody can repeat.
settings.register_profile("default", deadline=None, derandomize=True)
settings.load_profile("default")
