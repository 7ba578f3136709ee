"""What a run is expected to cost."""
