"""ELF files: their headers, what they need, and what of them can be changed in place."""
