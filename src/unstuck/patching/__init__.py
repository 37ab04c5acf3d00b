"""A treatment as a change of the user's script: read `patch.py` first."""
