"""The slow definition."""
