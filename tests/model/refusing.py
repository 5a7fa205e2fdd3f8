"""The new filler: it gives up one file, and nobody but those who wait for it."""

from __future__ import annotations

from giving_up import AFTER_GO, GIVING_UP, TODAY
from helpers import LEAVING, fill, first_leaving, fork_guard, hand, kill, leave, move, names, set_up, unpublish
from world import (
    FILLER,
    NONE,
    Config,
    Gen,
    Steps,
    World,
    put_gen,
    release_claim,
    used_by_name,
    users,
    waiting,
)

_NEW = ("skeleton", "guard", "threads", "go", "serve")


def steps(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if gen.filler.pc in _NEW[:-1]:
        order, unsafe = (_NEW, frozenset[str]()) if config.keeps("set up before go") else (TODAY, AFTER_GO)
        yield from set_up(config, world, number, order, unsafe)
    elif gen.filler.pc in LEAVING:
        yield from leave(world, number)
    elif gen.filler.pc == "serve":
        yield from _new_main(config, world, number)
    elif gen.filler.pc == "claimed":
        yield from _look_again(config, world, number)
    elif gen.filler.pc == "unused":
        yield (
            "filler: renames the entry away and deletes it",
            move(_let_go(world, number), number, first_leaving(config)),
        )
    if gen.filler.hand and gen.filler.pc not in LEAVING:
        yield from GIVING_UP["rename"][gen.filler.hand](config, world, number)


def _new_main(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if not gen.guard.alive:
        yield "filler: sees no guard, and forks one", fork_guard(world, number)
    if config.watchdog == "notice" and "broken" in (gen.top, gen.old) and not gen.armed:
        yield "filler: is told that the file is asked for, and sets its timer", put_gen(world, number, armed=True)
        return
    yield from fill(config, world, number)
    if config.bad:
        yield from _refuse(config, world, number, gen)


def _refuse(config: Config, world: World, number: int, gen: Gen) -> Steps:
    """The file cannot be filled: a new inode behind its name, and who waits for the old one is ended."""
    late = waiting(world, number, "old")
    if late:
        yield f"filler: ends who waits for the old inode: {names(late)}", kill(config, world, late)
    if gen.top == "broken":
        yield from _rename_inode(config, world, number, gen)
    elif gen.place == "stage" and world.build == NONE:
        yield "filler: whoever built this is gone", move(put_gen(world, number, place="gone"), number, "leave")
    elif gen.top == "held" and not gen.old and gen.place != "stage":
        yield from _claim(config, world, number)


def _rename_inode(config: Config, world: World, number: int, gen: Gen) -> Steps:
    if not config.keeps("give up one file"):
        if not gen.filler.hand:
            yield "filler: cannot fill the file, and gives up", hand(world, number, "scan")
    elif not gen.spare:
        yield "filler: makes a new inode, gated, not yet named", put_gen(world, number, spare=True)
    elif not gen.old:
        yield "filler: gives the new inode the file's name", _swap(config, world, number)


def _swap(config: Config, world: World, number: int) -> World:
    """With one table of descriptors the guard has the new inode as well; else only one that is forked later has."""
    starters = tuple(s._replace(at="old") if s.at == "top" and s.into == number else s for s in world.starters)
    lone = not config.keeps("share descriptors")
    return put_gen(world._replace(starters=starters), number, old="broken", top="held", spare=False, lone=lone)


def _claim(config: Config, world: World, number: int) -> Steps:
    """No start has the lease: have it, so that none comes, and only then look whether anybody is there all the same."""
    if not config.keeps("rename under the lock"):
        if not users(world, number):
            yield "filler: nobody uses the tree", move(world, number, "unused")
        return
    leased = any(s.lease and s.gen == number for s in world.starters)
    if world.build == NONE and world.gens[number].locked == NONE and not leased:
        taken = put_gen(world._replace(build=FILLER + number), number, locked=FILLER + number)
        yield "filler: takes the build lock, and the lease exclusively", move(taken, number, "claimed")


def _look_again(config: Config, world: World, number: int) -> Steps:
    in_use = used_by_name(world, number) if config.keeps("look at the replaced") else users(world, number)
    if in_use:
        kept = release_claim(world, number)
        yield "filler: sees that somebody uses the tree", move(kept, number, "serve")
    else:
        yield "filler: sees nobody who uses the tree", move(world, number, "unused")


def _let_go(world: World, number: int) -> World:
    """The lease stays locked to the end: nobody may join what is being deleted."""
    world = unpublish(world, number, "gone")
    build = NONE if world.build == FILLER + number else world.build
    return put_gen(world._replace(build=build), number, place="gone")
