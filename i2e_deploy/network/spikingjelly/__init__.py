"""SpikingJelly modules: read, and judged by their own forward."""
