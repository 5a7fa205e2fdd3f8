"""Work that parses what strangers wrote, done by a confined child; what it has to say comes back through a pipe.

A message is a line of JSON. The child's death is one clear line, whatever it died of.
"""

from __future__ import annotations

import json
import locale
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tmprun.archives.confine import USUAL, Limits, confine
from tmprun.errors import BadImage, TmprunError, UnsupportedImage

Message = dict[str, Any]
Say = Callable[[Message], None]

_ERRORS = {kind.__name__: kind for kind in (TmprunError, BadImage, UnsupportedImage)}
_DEATHS = {
    signal.SIGXCPU: "takes longer to read than any good file does",
    signal.SIGKILL: "reading it was ended from outside, perhaps for want of memory",
}


def messages(work: Callable[[Say], None], directory: str, size: int, limits: Limits = USUAL) -> Iterator[Message]:
    """Do `work` in a child that may write below `directory` alone, about a file of `size` bytes; yield what it says.

    What it raises is raised here. The child is gone when the iteration ends, however it ends.
    """
    directory = os.path.abspath(directory)  # the child goes there
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(work, directory, size, limits, writing)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            for line in pipe:
                message = json.loads(line)
                if "error" in message:
                    kind, what, remedy = message["error"]
                    raise _ERRORS[kind](what, remedy=remedy)
                if "errno" in message:
                    raise OSError(message["errno"], os.strerror(message["errno"]), message["path"])
                yield message
        status, pid = os.waitpid(pid, 0)[1], 0
        if status:
            raise _death(status)
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _death(status: int) -> TmprunError:
    number = -os.waitstatus_to_exitcode(status)
    if number > 0:
        name = signal.Signals(number).name
        what = _DEATHS.get(signal.Signals(number), f"reading it ended with {name}: it is damaged, or made to do harm")
        return BadImage(what, remedy="check the file")
    return BadImage("reading it failed", remedy="check the file")


def _names_in_utf_8() -> None:
    """libarchive gives names in the locale's characters, and none where that has no such ones, as with LC_ALL=C."""
    for name in ("C.UTF-8", "en_US.UTF-8"):
        try:
            locale.setlocale(locale.LC_CTYPE, name)
        except locale.Error:
            continue
        return


def _child(work: Callable[[Say], None], directory: str, size: int, limits: Limits, pipe: int) -> None:
    """Does not return."""

    def say(message: Message) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(pipe, data) :]

    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(directory)
        _names_in_utf_8()
        from tmprun.archives import library

        library.load()
        confine(directory, size, limits)
        work(say)
        status = 0
    except MemoryError:
        say({"error": ["BadImage", "needs more memory to be read than any good archive does", "check the file"]})
    except TmprunError as error:
        say({"error": [type(error).__name__, error.what, error.remedy]})
    except ImportError as error:
        from tmprun.missing import missing

        trouble = missing(error)
        say({"error": ["TmprunError", trouble.what, trouble.remedy]})
    except OSError as error:
        say({"errno": error.errno or 5, "path": os.fsdecode(error.filename or "")})
    except Exception as error:
        say({"error": ["BadImage", f"reading it failed ({error!r})", "check the file"]})
    finally:
        os._exit(status)
