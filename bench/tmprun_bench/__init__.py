"""The benchmark: what tmprun, and everything it is compared with, costs as processes. `tmprun bench --help`."""
