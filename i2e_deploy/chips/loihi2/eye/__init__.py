"""I2E on Loihi 2: pictures in as graded spikes, events out, straight into a network's first layer."""
