"""What the protocol's processes share, as small immutable values: one KEY of one store, and one file of its tree.

One file is enough: each is gated by a lease of its own, so what can go wrong with two of them can go wrong with one.
It is either fillable or, where the image is damaged, not. A tree that is replaced by another of the same KEY is another
*generation*.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

NONE = -1
PRUNER = 100  # as a holder of locks; starters are 0, 1, ...; the filler of generation g is FILLER + g
FILLER = 200

# The promises. A step that breaks one says which.
ZEROS = "an app read a file that was not filled"
ENOENT = "an app that lives did not find a name of its tree"
KILLED = "somebody was killed who had not opened a file that cannot be filled"
UNPUBLISHED = "a start exec'd in a tree that was unpublished before, and was not told"
ALL = frozenset({ZEROS, ENOENT, KILLED, UNPUBLISHED})


# What the new order adds, each of which can be left out to see what it is good for.
RULES = (
    "tie before look",  # a start ties itself to the helpers, and then looks whether they live
    "set up before go",  # nothing that can fail comes behind "go"
    "give up one file",  # what cannot be filled gets a new inode behind its name, and nobody else is ended
    "share descriptors",  # what the filler opens, the guard has: they have one table
    "replace by exchange",  # the name of an entry always leads to a tree
    "replace in full",  # a tree in use is replaced by one that is complete
    "look at the replaced",  # an entry is in use as long as one is that it replaced
    "rename under the lock",  # who takes an entry out of the store has the build lock and its lease
)


@dataclass(frozen=True)
class Config:
    """Which protocol, how much of everything, and what goes wrong.

    `order`: "today", "rename" (rename away, kill, let go) or "new". `tie`: the kernel kills an app whose last helper is
    gone. `watchdog`: what makes the kernel end a frozen filler: "" (nothing), "notice" (a timer that is set when a file
    is asked for) or "rolling" (one that runs all the time). `without`: a rule of the new order that is left out.
    """

    order: str
    starters: int = 2
    opens: int = 1
    crashes: int = 0
    freezes: int = 0
    prunes: int = 0
    cleaners: int = 0
    bad: bool = False
    refusals: bool = False  # fork and pthread_create may fail
    closes: bool = False  # an app may close what it inherited
    tie: bool = False
    watchdog: str = ""
    generations: int = 3
    without: str = ""
    promises: frozenset[str] = ALL

    @property
    def new(self) -> bool:
        return self.order == "new"

    def keeps(self, rule: str) -> bool:
        """Whether a rule of the new order holds, one of RULES."""
        assert rule in RULES
        return self.new and rule != self.without


class Helper(NamedTuple):
    """Filler or guard. `hand` is the thread that serves, `flag` the static variable that a fork copies."""

    pc: str = "none"
    hand: str = ""
    flag: bool = False

    @property
    def alive(self) -> bool:
        return self.pc != "none"


class Gen(NamedTuple):
    """A generation of the entry. `old` and `top` are the lease of an inode: "held", "broken" (asked for), "gone".

    The name of the file leads to `top`; `old` had the name before, and is "" when there is none. `spare`: there is
    an inode that is to get the name. `lone`: `top` is the filler's alone.
    """

    place: str = "gone"  # stage, tree, trash, gone
    go: bool = False
    watch: bool = False
    full: bool = False
    old: str = ""
    top: str = "held"
    spare: bool = False
    lone: bool = False
    armed: bool = False
    cut: bool = False
    filler: Helper = Helper()
    guard: Helper = Helper()
    locked: int = NONE  # who holds the lease file exclusively

    @property
    def alive(self) -> bool:
        return self.filler.alive or self.guard.alive


FRESH = Gen()


class Starter(NamedTuple):
    """A process that was started, before and after its exec.

    `gen` is the entry that it uses; `into` and `at` the inode that its open(2) leads to, "" for none.
    """

    pc: str = "look"
    gen: int = NONE
    lease: bool = False
    tied: bool = False
    opens: int = 0
    into: int = NONE
    at: str = ""
    guilty: bool = False  # it has opened a file that cannot be filled

    @property
    def app(self) -> bool:
        return self.pc in ("run", "resolved", "waiting")

    @property
    def ended(self) -> bool:
        return self.pc in ("end", "told", "killed")


class World(NamedTuple):
    tree: int  # the generation that the published KEY leads to
    build: int  # who holds KEY's lock
    gens: tuple[Gen, ...]
    starters: tuple[Starter, ...]
    pruner: str = "idle"
    pruned: int = NONE
    prunes: int = 0
    cleaners: int = 0
    crashes: int = 0
    freezes: int = 0
    frozen: bool = False
    broken: str = ""


Step = tuple[str, World]
Steps = Iterator[Step]


def begin(config: Config) -> World:
    return World(
        NONE,
        NONE,
        (FRESH,) * config.generations,
        (Starter(opens=config.opens),) * config.starters,
        prunes=config.prunes,
        cleaners=config.cleaners,
        crashes=config.crashes,
        freezes=config.freezes,
    )


def put_gen(world: World, number: int, **changes: Any) -> World:
    gens = list(world.gens)
    gens[number] = gens[number]._replace(**changes)
    return world._replace(gens=tuple(gens))


def put_starter(world: World, number: int, **changes: Any) -> World:
    starters = list(world.starters)
    starters[number] = starters[number]._replace(**changes)
    return world._replace(starters=tuple(starters))


def breaking(config: Config, world: World, promise: str) -> World:
    """The world in which the promise was broken; as it was where nobody asks for it."""
    return world._replace(broken=promise) if promise in config.promises else world


def end_starter(world: World, number: int, pc: str) -> World:
    """The kernel lets go of what a process had."""
    if world.build == number:
        world = world._replace(build=NONE)
    return put_starter(world, number, pc=pc, gen=NONE, lease=False, tied=False, opens=0, into=NONE, at="", guilty=False)


def end_filler(world: World, number: int) -> World:
    """What it had locked stays so as long as a guard has the same descriptors: the heir lets go of it."""
    gen = world.gens[number]
    if not gen.guard.alive or gen.lone:
        world = release_claim(world, number)
    top = "gone" if gen.lone else gen.top
    ended = put_gen(world, number, filler=Helper(), spare=False, top=top, lone=False, armed=False)
    return after_helpers(ended, number)


def release_claim(world: World, number: int) -> World:
    """The filler's, or its heir's, on the entry that nobody seemed to use."""
    if world.build == FILLER + number:
        world = world._replace(build=NONE)
    return put_gen(world, number, locked=NONE) if world.gens[number].locked == FILLER + number else world


def end_guard(world: World, number: int) -> World:
    if not world.gens[number].filler.alive:
        world = release_claim(world, number)
    return after_helpers(put_gen(world, number, guard=Helper()), number)


def after_helpers(world: World, number: int) -> World:
    """When the last helper is gone, the kernel closes what it had: the tie first (it has the highest number), then the
    leases. The tied apps are dead before a lease falls."""
    gen = world.gens[number]
    if gen.alive:
        return world
    for who, starter in enumerate(world.starters):
        if starter.tied and starter.gen == number and not gen.cut:
            world = end_starter(world, who, "killed")
    return put_gen(world, number, old="gone" if gen.old else "", top="gone", spare=False, armed=False)


def users(world: World, number: int) -> list[int]:
    """Who holds the lease or shows in /proc as one that runs, maps or opens something of the tree."""
    return [
        w for w, s in enumerate(world.starters) if s.gen == number and (s.lease or s.app or s.pc in ("go?", "publish"))
    ]


def used_by_name(world: World, number: int) -> list[int]:
    """Users of this generation and of those that it replaced: their absolute paths lead here."""
    gens = [n for n, gen in enumerate(world.gens) if n == number or gen.place == "trash"]
    return [who for n in gens for who in users(world, n)]


def waiting(world: World, number: int, at: str) -> list[int]:
    return [w for w, s in enumerate(world.starters) if s.pc == "waiting" and s.into == number and s.at == at]


def free_gen(world: World) -> int | None:
    """A number for a new generation: one whose files are gone, or are nobody's and would be swept."""
    return next((number for number in range(len(world.gens)) if _forgotten(world, number)), None)


def _forgotten(world: World, number: int) -> bool:
    gen = world.gens[number]
    if number == world.tree or gen.alive or gen.locked != NONE or number == world.pruned:
        return False
    return not any(number in (s.gen, s.into) for s in world.starters)


def tidy(world: World) -> World:
    """Forget what nobody can see any more, so that worlds that differ in nothing else are the same."""
    stale = [n for n, gen in enumerate(world.gens) if gen is not FRESH and _forgotten(world, n)]
    if not stale:
        return world
    return world._replace(gens=tuple(FRESH if n in stale else gen for n, gen in enumerate(world.gens)))
