"""Where else a program runs: Intel's software, and the chip through it."""
