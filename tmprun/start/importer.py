"""The first start of a foreign image: find out what the engine must know about it, remember that, and start the engine.

The front door passes a file that it knows nothing about to `tmprun-py @import ... --options N OPTIONS -- APP ARGS...`,
where N is how many words its own options are, which it gets back as they are. Here that becomes an index, and this
process becomes the front door again:
`tmprun @VERB --image-fd M --index-fd N OPTIONS -- APP ARGS...`. The image comes and goes as an open descriptor,
since its name may lead to another file by then. Somebody waits meanwhile: nothing is imported that is slow to load.
"""

from __future__ import annotations

import gc
import os
import sys

from tmprun.clock import Clock, debugging
from tmprun.elf.machines import runs
from tmprun.errors import TmprunError, UnsupportedImage
from tmprun.images.compile import Compiled, compile_opened, sha256_of
from tmprun.images.formats import read_head
from tmprun.images.image import Image
from tmprun.images.source import Source
from tmprun.start import handover
from tmprun.store.known import Cache, open_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Seconds after which a thread must let another one run: the hashing thread needs it after every buffer, for
# microseconds.
_SWITCH = 0.0002


class Known:
    """What the engine is told about an image: its index `table`.

    `compiled` is what the index was made of, when that was done now. It is kept because somebody waits: to take the
    tree of 100,000 files apart takes 50 ms, and when this process becomes another one nobody needs to.
    """

    def __init__(self, table: bytes, compiled: Compiled | None = None) -> None:
        self.table = table
        self.compiled = compiled

    def handed_over(self) -> tuple[str, int]:
        """The engine's option for this, and the descriptor that is its value, which is the caller's to close."""
        return "--index-fd", handover.with_content("tmprun-index", self.table)


def compile_image(path: str) -> Compiled:
    """Everything about the foreign image at `path`, its index included, without looking into the cache.

    TmprunError when it cannot be opened; BadImage or UnsupportedImage when it is none that we can read.
    """
    with Image(path) as image:
        return compile_opened(image)


def ensure_known(path: str) -> Known:
    """What the engine needs to build the tree of the foreign image at `path`: see `ensure_opened`."""
    with Image(path) as image:
        return ensure_opened(image)


def ensure_opened(image: Image) -> Known:
    """What the engine needs to build the foreign image's tree: from the disk cache, or put there now.

    Errors as for `compile_image`.
    """
    with open_cache() as cache:
        name = cache.lookup(image.identity)
        known = _from_cache(cache, bytes.fromhex(name[:64])) if name else None
        return known or _find_out(image, cache, Clock())


def image_options(image: Image) -> list[str]:
    """The engine's options for an image that it inherits open: which file, and whether it may be remembered."""
    return ["--image-fd", str(image.fd), *(["--read-as", image.identity] if image.settled else [])]


def _find_out(image: Image, cache: Cache, clock: Clock) -> Known:
    """Read the image, and keep what was found out."""
    # A file that is remembered, and has come here all the same, is not helped by what is remembered.
    if cache.lookup(image.identity) is None and cache.has_size(image.size):
        sha256 = sha256_of(image)
        clock.mark("hash")
        known = _from_cache(cache, sha256)
        if known:
            _remember(image, cache, sha256)
            clock.mark("cache")
            return known
    compiled = compile_opened(image, clock.mark)
    cache.add_index(compiled.sha256, compiled.table)
    _remember(image, cache, compiled.sha256)
    clock.mark("cache")
    return Known(compiled.table, compiled)


def _remember(image: Image, cache: Cache, sha256: bytes) -> None:
    """From now on the image's identity leads to what is known, unless the file has become another one meanwhile."""
    if image.settled:
        cache.remember(image.identity, f"{sha256.hex()}.index")


def _from_cache(cache: Cache, sha256: bytes) -> Known | None:
    """What the cache has about the image with this digest."""
    table = cache.index(sha256)
    return Known(table) if table else None


def _check_machine(machine: str) -> None:
    """Refuse an image for another machine, unless that runs its programs too or an emulator is registered."""
    here = os.uname().machine
    if runs(machine, here):
        return
    emulated = {"armhf": "arm"}.get(machine, machine)
    if os.path.exists(f"/proc/sys/fs/binfmt_misc/qemu-{emulated}"):
        return
    raise UnsupportedImage(f"is made for {machine}, and this machine is {here}", remedy=f"get the release for {here}")


class Request:
    """What the front door asked for: `options` go back to it as they came; `image_fd` is the image, `path` its name."""

    def __init__(self, argv: list[str]) -> None:
        self.options: list[str] = []
        self.verb = "run"
        self.image_fd: int | None = None
        words = iter(argv)
        for word in words:
            if word == "--":
                break
            if word == "--signals":
                self.options += [word, next(words, "")]
            elif word == "--options":
                self.options += [next(words, "") for _ in range(int(next(words, "0")))]
            elif word == "--then":
                self.verb = next(words, "")
            elif word == "--image-fd":
                self.image_fd = int(next(words, ""))
            else:
                raise TmprunError(
                    f"@import does not know {word!r}", remedy="it is for the front door of the same version"
                )
        self.path = next(words, "")
        self.arguments = list(words)


def main(argv: list[str]) -> NoReturn:
    """`argv` is what follows `@import`. Becomes the engine, or says in one line why not and exits."""
    clock = Clock()
    clock.started()
    gc.disable()  # this process lives for milliseconds
    sys.setswitchinterval(_SWITCH)
    try:
        _import(Request(argv), clock)
    except TmprunError as error:
        _fail(str(error), error.status)
    except KeyboardInterrupt:
        _die_of_interrupt()
    except MemoryError:
        _fail("there is not enough memory to read the image", TmprunError.status)
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror}", TmprunError.status)
    except ImportError as error:
        from tmprun.missing import missing

        _fail(str(missing(error)), TmprunError.status)
    except Exception as error:
        _fail(f"tmprun has a bug: {error!r}; TMPRUN_LOG=debug says where", TmprunError.status)


def _import(request: Request, clock: Clock) -> NoReturn:
    environment = handover.initial_environment()
    with Image(request.path, request.image_fd) as image:
        with open_cache() as cache:
            if request.verb == "run":
                _check_machine(read_head(Source(image.fd, image.size)).machine)
            known = _find_out(image, cache, clock)
        option, fd = known.handed_over()
        for inherited in (image.fd, fd):
            os.set_inheritable(inherited, True)
        told = [*image_options(image), option, str(fd), "--again"]
        arguments = [f"@{request.verb}", *told, *request.options, "--", request.path, *request.arguments]
        clock.mark("handover")
        clock.report()
        handover.become([os.fsencode(argument) for argument in arguments], environment)


def _die_of_interrupt() -> NoReturn:
    import signal  # this loads slowly

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    sys.exit(128 + signal.SIGINT)


def _fail(text: str, status: int) -> NoReturn:
    from tmprun.human import one_line

    if debugging():
        import traceback

        traceback.print_exc()
    sys.stderr.write(f"tmprun: {one_line(text)}\n")
    sys.exit(status)
