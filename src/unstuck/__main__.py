"""`python -m unstuck` is the `unstuck` command."""

from unstuck.cli import entry

entry()
