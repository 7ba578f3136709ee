"""The fast engines, equal to `reference` bit for bit."""
