"""The chip's own files: the configuration as JSON, and a program in a bundle."""
