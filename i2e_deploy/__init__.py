"""From a picture to a neuromorphic chip."""
