"""Where else a program runs: on a board, through the vendor's software, or on a fake board."""
