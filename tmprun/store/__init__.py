"""Stores on this machine (docs/store.md): what is in them, and what is pruned."""
