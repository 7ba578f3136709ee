"""Rules over the profile, and the placement on cores."""
