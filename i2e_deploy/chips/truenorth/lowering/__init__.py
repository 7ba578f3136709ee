"""Float network to cores."""
