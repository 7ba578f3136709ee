"""Training of spiking networks on event frames."""
