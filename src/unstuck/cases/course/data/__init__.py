"""One data set a file, and what varies, judges or embeds data for several items.

`package` fetches what a package registry holds; `augmentation`, `probe` (linear probe), `judge`
(Frechet distance), `mobilenet` (ImageNet features) are the tools; everything else is a data set.
"""
