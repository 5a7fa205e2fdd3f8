"""Container images of one app: the Open Container Initiative's image format, written to the byte the same."""
