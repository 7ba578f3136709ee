"""Does a program fit? Rules of every block, cores, and how near the states come to their words."""
