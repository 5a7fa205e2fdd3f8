"""libc slices: a C library, and what else apps take for granted, for machines that have none (docs/libc.md)."""
