"""The file of a program, and RANC's JSON."""
