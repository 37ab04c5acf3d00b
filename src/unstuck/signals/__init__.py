"""Pure functions over series: spans, levels, windows, noise, trends, and what belongs together."""
