"""Sinabs modules: read, judged by their own forward, and written."""
