"""Does a program fit? Rules of every block, cores, and how close the states come to their limits."""
