"""Runs applications that come as one file, on any Linux, without FUSE."""

__version__ = "0.1.0"
