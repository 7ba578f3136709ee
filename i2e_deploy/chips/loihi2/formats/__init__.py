"""Trained-integer formats: SLAYER modules, netx files, a program in a bundle."""
