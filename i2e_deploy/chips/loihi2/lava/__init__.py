"""Intel's software: the `.net` file from which it computes the same integers, and runs on it."""
