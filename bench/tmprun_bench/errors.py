"""What stops a benchmark. Nothing is skipped or repaired silently: a wrong answer or a missing part ends the case."""

from __future__ import annotations


class BenchError(Exception):
    """Something that the benchmark itself needs is not there or does not work; the text says what to do."""


class WrongAnswer(BenchError):
    """A subject did not do what was timed: another exit status, output or tree than the right one."""


class Unable(WrongAnswer):
    """A subject failed: another exit status than the right one, no mount where one was promised, or no end."""
