"""Anything that can be an app becomes a bundle: for a start, once, in the disk cache; or as a file that people keep."""
