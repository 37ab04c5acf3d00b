"""Runs while they are being made: in the terminal, and on a local page that follows them."""
