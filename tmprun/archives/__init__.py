"""Archives as apps: what a file is, reading it where it can do no harm, and what in it is to be started."""
