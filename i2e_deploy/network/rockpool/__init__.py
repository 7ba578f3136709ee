"""Rockpool modules: read, and judged by their own evolution."""
