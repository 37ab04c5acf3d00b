"""`unstuck fix`: run, diagnose, race the treatments, confirm the winner on fresh seeds."""
