"""Formats of foreign images: one file a format, each reads tables and makes a tree of index nodes of them."""
