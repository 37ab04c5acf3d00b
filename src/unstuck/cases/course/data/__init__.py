"""One data set a file, and what varies, judges or embeds data for several items.

`augmentation`, `probe` (linear probe), `judge` (Frechet distance) are the tools; everything else is
a data set. What other cases use too lies in `unstuck.data`.
"""
