"""The AppDirs and images that the cases run, made once and kept in build/corpora.

Everything comes from Debian's packages, from PyPI, or is generated, the same bytes each time. Nothing is installed.
"""
