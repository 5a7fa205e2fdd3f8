"""Formats of foreign images: one file a format, each reads tables and makes a tree of `tmprun.index.Node` of them."""
