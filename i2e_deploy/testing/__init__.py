"""For the CI of those who deploy: bundles as pytest tests."""
