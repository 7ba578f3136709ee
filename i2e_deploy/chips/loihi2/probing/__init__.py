"""What a Loihi 2, or Lava in its place, is asked about the arithmetic of a leaking neuron."""
