"""Today's filler, and one that takes the entry away before it ends those who use it ("rename").

Both give up the whole tree when one file of it cannot be filled.
"""

from __future__ import annotations

from helpers import LEAVING, fill, fork_guard, hand, kill, leave, move, names, set_up, unpublish
from world import NONE, Config, Steps, World, end_filler, end_guard, users

TODAY = ("skeleton", "guard", "go", "threads", "serve")
AFTER_GO = frozenset({"threads"})


def steps(config: Config, world: World, number: int) -> Steps:
    filler = world.gens[number].filler
    if filler.pc in TODAY[:-1]:
        yield from set_up(config, world, number, TODAY, AFTER_GO)
    elif filler.pc == "serve":
        yield from _today_main(config, world, number)
    elif filler.pc in LEAVING:
        yield from leave(world, number)
    elif filler.pc == "paused" and world.gens[number].guard.alive:
        yield "guard: kills the filler, which does not move", end_filler(world, number)
    if filler.hand and filler.pc not in LEAVING:
        yield from GIVING_UP[config.order][filler.hand](config, world, number)


def _today_main(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if not gen.guard.alive:
        yield "filler: sees no guard, and forks one", fork_guard(world, number)
    yield from fill(config, world, number)
    if not config.bad:
        return
    if gen.filler.hand == "paused":
        yield "filler: the time is over; waits for its other thread to give up", move(world, number, "paused")
    elif not gen.filler.hand and gen.top == "broken":
        if gen.filler.flag:
            yield "filler: cannot fill the file; another thread gives up, it seems", hand(world, number, "paused")
        else:
            yield "filler: cannot fill the file, and gives up", hand(world, number, "scan")
    elif not gen.filler.hand and not users(world, number):
        yield "filler: nobody uses the tree any more", unpublish(move(world, number, "leave"), number, "gone")


def _scan(config: Config, world: World, number: int) -> Steps:
    victims = users(world, number)
    if victims:
        yield f"filler: ends who uses the tree: {names(victims)}", kill(config, world, victims)
    else:
        yield "filler: sees nobody who uses the tree", hand(world, number, "unpublish")


def _take_away(config: Config, world: World, number: int) -> Steps:
    yield "filler: takes the entry out of the store", hand(unpublish(world, number, "gone"), number, "dismiss")


def _dismiss(config: Config, world: World, number: int) -> Steps:
    yield "filler: kills its guard", hand(end_guard(world, number), number, "exit")


def _exit(config: Config, world: World, number: int) -> Steps:
    yield "filler: exits", end_filler(world, number)


def _lock_away(config: Config, world: World, number: int) -> Steps:
    if world.build == NONE:
        world = unpublish(world, number, "trash")
        yield "filler: renames the entry away, under the build lock", hand(world, number, "end")


def _end_holders(config: Config, world: World, number: int) -> Steps:
    victims = users(world, number)
    if victims:
        yield f"filler: ends who holds the lease or waits: {names(victims)}", kill(config, world, victims)
    else:
        yield "filler: sees nobody who holds the lease or waits", hand(world, number, "dismiss")


GIVING_UP = {
    "today": {
        "scan": _scan,
        "unpublish": _take_away,
        "dismiss": _dismiss,
        "exit": _exit,
        "paused": lambda *_: iter(()),
    },
    "rename": {
        "scan": _lock_away,
        "end": _end_holders,
        "dismiss": _dismiss,
        "exit": _exit,
        "paused": lambda *_: iter(()),
    },
}
