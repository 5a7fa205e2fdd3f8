"""What can go wrong, as exceptions with fields. Only `cli/app.py` turns them into text and exit status."""

from __future__ import annotations


class TmprunError(Exception):
    """A failure that a person can act on: *what* failed, *where*, and what to do (*remedy*, may be empty).

    `status` is the exit status that a process which stops because of it should have: 126 when a file was found but
    cannot be executed, else 127.
    """

    status = 127

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.remedy}" if self.remedy else text


class BadImage(TmprunError):
    """The image breaks its format's rules, or is no image at all."""

    status = 126


class UnsupportedImage(TmprunError):
    """The image may be fine, but we cannot run it here."""

    status = 126


class EngineFailed(Exception):
    """A program of the engine stopped with the exit status `status` (negative: a signal), and has said why."""

    def __init__(self, status: int) -> None:
        self.status = status if status > 0 else 128 - status
        super().__init__(f"exit status {self.status}")
