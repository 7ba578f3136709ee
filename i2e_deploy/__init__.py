"""From a picture to a neuromorphic chip."""

from i2e_deploy import numba_cache as numba_cache
