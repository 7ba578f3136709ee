"""snnTorch: its neurons, and modules as its tutorials write them."""
