"""Time steps: whole runs, and a session that takes one step at a time."""
