"""Where else a program runs."""
