"""The helpers of one generation: today's filler, and the new one.

A step is one system call, or more of which no other process sees but the last.

Common to both: the guard takes over when the filler is gone; a filler without a guard forks one; what is full is first
marked, then released.
"""

from __future__ import annotations

from world import (
    FILLER,
    KILLED,
    NONE,
    Config,
    Gen,
    Helper,
    Steps,
    World,
    breaking,
    end_filler,
    end_guard,
    end_starter,
    put_gen,
    used_by_name,
    users,
    waiting,
)


def steps(config: Config, world: World, number: int) -> Steps:
    """What the helpers of generation `number` may do next."""
    gen = world.gens[number]
    if gen.guard.alive and not gen.filler.alive:
        heir = Helper(_first_work(config, gen), flag=gen.guard.flag)
        yield "guard: takes over", put_gen(world, number, filler=heir, guard=Helper())
    if gen.filler.alive:
        yield from (_new_steps if config.new else _today_steps)(config, world, number)


def _first_work(config: Config, gen: Gen) -> str:
    if not gen.go:
        return "guard"
    return "serve" if config.new else "threads"


def _pc(world: World, number: int, pc: str, **changes: object) -> World:
    return put_gen(world, number, filler=world.gens[number].filler._replace(pc=pc), **changes)


def _hand(world: World, number: int, hand: str, flag: bool = True) -> World:
    return put_gen(world, number, filler=world.gens[number].filler._replace(hand=hand, flag=flag))


def _kill(config: Config, world: World, victims: list[int]) -> World:
    for who in victims:
        if not world.starters[who].guilty:
            world = breaking(config, world, KILLED)
        world = end_starter(world, who, "killed")
    return world


def _fork_guard(world: World, number: int) -> World:
    """It gets every descriptor, and a copy of the static variables."""
    gen = world.gens[number]
    spare = "both" if gen.spare else ""
    return put_gen(world, number, guard=Helper("watch", flag=gen.filler.flag), spare=spare, lone=False)


def _fill(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if gen.watch:
        yield "filler: finds that all is there", _pc(world, number, _first_leaving(config))
    elif config.bad:
        return
    elif not gen.full:
        yield "filler: fills the file, and marks it", put_gen(world, number, full=True)
    elif gen.top != "gone":
        yield "filler: releases the file", put_gen(world, number, top="gone", armed=False)
    else:
        yield "filler: says that all is there", _pc(world, number, _first_leaving(config), watch=True)


def _set_up(config: Config, world: World, number: int, order: tuple[str, ...], unsafe: frozenset[str]) -> Steps:
    """The stages of setting up, in `order`. One of `unsafe` fails behind "go", where the app is not told any more."""
    gen = world.gens[number]
    pc = gen.filler.pc
    after = order[order.index(pc) + 1]
    if pc == "go":
        yield "filler: says go", _pc(world, number, after, go=True)
        return
    done = _fork_guard(world, number) if pc == "guard" else world
    yield f"filler: sets up its {pc}", _pc(done, number, after)
    if not config.refusals:
        return
    if pc in unsafe:
        yield f"filler: cannot set up its {pc}, and gives up", _hand(_pc(world, number, "giving up"), number, "scan")
    else:
        yield f"filler: cannot set up its {pc}, and says so", end_filler(world, number)


# --- Today, and "rename" ---------------------------------------------------------------------------------------------

_TODAY = ("skeleton", "guard", "go", "threads", "serve")
_AFTER_GO = frozenset({"threads"})


def _today_steps(config: Config, world: World, number: int) -> Steps:
    filler = world.gens[number].filler
    if filler.pc in _TODAY[:-1]:
        yield from _set_up(config, world, number, _TODAY, _AFTER_GO)
    elif filler.pc == "serve":
        yield from _today_main(config, world, number)
    elif filler.pc in _LEAVING:
        yield from _leave(world, number)
    elif filler.pc == "paused" and world.gens[number].guard.alive:
        yield "guard: kills the filler, which does not move", end_filler(world, number)
    if filler.hand and filler.pc not in _LEAVING:
        yield from _GIVING_UP[config.order][filler.hand](config, world, number)


def _today_main(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if not gen.guard.alive:
        yield "filler: sees no guard, and forks one", _fork_guard(world, number)
    yield from _fill(config, world, number)
    if not config.bad:
        return
    if gen.filler.hand == "paused":
        yield "filler: the time is over; waits for its other thread to give up", _pc(world, number, "paused")
    elif not gen.filler.hand and gen.top == "broken":
        if gen.filler.flag:
            yield "filler: cannot fill the file; another thread gives up, it seems", _hand(world, number, "paused")
        else:
            yield "filler: cannot fill the file, and gives up", _hand(world, number, "scan")
    elif not gen.filler.hand and not users(world, number):
        yield "filler: nobody uses the tree any more", _unpublish(_pc(world, number, "leave"), number, "gone")


def _unpublish(world: World, number: int, place: str) -> World:
    if world.tree != number:
        return world
    return put_gen(world, number, place=place)._replace(tree=NONE)


def _scan(config: Config, world: World, number: int) -> Steps:
    victims = users(world, number)
    if victims:
        yield f"filler: ends who uses the tree: {_named(victims)}", _kill(config, world, victims)
    else:
        yield "filler: sees nobody who uses the tree", _hand(world, number, "unpublish")


def _take_away(config: Config, world: World, number: int) -> Steps:
    yield "filler: takes the entry out of the store", _hand(_unpublish(world, number, "gone"), number, "dismiss")


def _dismiss(config: Config, world: World, number: int) -> Steps:
    yield "filler: kills its guard", _hand(end_guard(world, number), number, "exit")


def _exit(config: Config, world: World, number: int) -> Steps:
    yield "filler: exits", end_filler(world, number)


def _lock_away(config: Config, world: World, number: int) -> Steps:
    if world.build == NONE:
        world = _unpublish(world, number, "trash")
        yield "filler: renames the entry away, under the build lock", _hand(world, number, "end")


def _end_holders(config: Config, world: World, number: int) -> Steps:
    victims = users(world, number)
    if victims:
        yield f"filler: ends who holds the lease or waits: {_named(victims)}", _kill(config, world, victims)
    else:
        yield "filler: sees nobody who holds the lease or waits", _hand(world, number, "dismiss")


_GIVING_UP = {
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


def _named(starters: list[int]) -> str:
    return ", ".join(f"start {who}" for who in starters)


# --- Leaving ---------------------------------------------------------------------------------------------------------

_LEAVING = ("cut", "leave", "leaving")


def _first_leaving(config: Config) -> str:
    return "cut" if config.tie else "leave"


def _leave(world: World, number: int) -> Steps:
    pc = world.gens[number].filler.pc
    if pc == "cut":
        yield "filler: cuts the ties", _pc(world, number, "leave", cut=True)
    elif pc == "leave":
        yield "filler: kills its guard", _pc(end_guard(world, number), number, "leaving")
    else:
        yield "filler: exits", end_filler(world, number)


# --- New -------------------------------------------------------------------------------------------------------------

_NEW = ("skeleton", "threads", "guard", "go", "serve")


def _new_steps(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if gen.filler.pc in _NEW[:-1]:
        order, unsafe = (_NEW, frozenset[str]()) if config.keeps("set up before go") else (_TODAY, _AFTER_GO)
        yield from _set_up(config, world, number, order, unsafe)
    elif gen.filler.pc in _LEAVING:
        yield from _leave(world, number)
    elif gen.filler.pc == "serve":
        yield from _new_main(config, world, number)
    elif gen.filler.pc == "claimed":
        yield from _look_again(config, world, number)
    elif gen.filler.pc == "unused":
        yield (
            "filler: renames the entry away and deletes it",
            _pc(_let_go(world, number), number, _first_leaving(config)),
        )
    if gen.filler.hand and gen.filler.pc not in _LEAVING:
        yield from _GIVING_UP["rename"][gen.filler.hand](config, world, number)


def _new_main(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if not gen.guard.alive:
        yield "filler: sees no guard, and forks one", _fork_guard(world, number)
    if config.watchdog == "notice" and "broken" in (gen.top, gen.old) and not gen.armed:
        yield "filler: is told that the file is asked for, and sets its timer", put_gen(world, number, armed=True)
        return
    yield from _fill(config, world, number)
    if config.bad:
        yield from _refuse(config, world, number, gen)


def _refuse(config: Config, world: World, number: int, gen: Gen) -> Steps:
    """The file cannot be filled: no new start, a new inode behind its name, and who waits for the old one is ended."""
    late = waiting(world, number, "old")
    if late:
        yield f"filler: ends who waits for the old inode: {_named(late)}", _kill(config, world, late)
    if gen.top == "broken":
        yield from _rename_inode(config, world, number, gen)
    elif gen.spare == "mine" and gen.guard.alive:
        yield "filler: dismisses the guard, which has not got it", end_guard(world, number)
    elif gen.place == "stage" and world.build == NONE:
        yield "filler: whoever built this is gone", _pc(put_gen(world, number, place="gone"), number, "leave")
    elif gen.top == "held" and not gen.old and gen.place != "stage":
        yield from _claim(config, world, number)


def _rename_inode(config: Config, world: World, number: int, gen: Gen) -> Steps:
    if not config.keeps("give up one file"):
        if not gen.filler.hand:
            yield "filler: cannot fill the file, and gives up", _hand(world, number, "scan")
    elif not gen.closed:
        yield "filler: closes the entry to starts", put_gen(world, number, closed=True)
    elif not gen.spare:
        yield "filler: makes a new inode, gated, not yet named", put_gen(world, number, spare="mine")
    elif gen.spare == "mine" and config.keeps("share before name"):
        if gen.guard.alive:
            yield "filler: dismisses the guard, which has not got it", end_guard(world, number)
    elif not gen.old:
        yield "filler: gives the new inode the file's name", _swap(world, number)


def _swap(world: World, number: int) -> World:
    starters = tuple(s._replace(at="old") if s.at == "top" and s.into == number else s for s in world.starters)
    lone = world.gens[number].spare == "mine"
    return put_gen(world._replace(starters=starters), number, old="broken", top="held", spare="", lone=lone)


def _claim(config: Config, world: World, number: int) -> Steps:
    """No start has the lease: have it, so that none comes, and only then look whether anybody is there all the same."""
    if not config.keeps("rename under the lock"):
        if not users(world, number):
            yield "filler: nobody uses the tree", _pc(world, number, "unused")
        return
    leased = any(s.lease and s.gen == number for s in world.starters)
    if world.build == NONE and world.gens[number].locked == NONE and not leased:
        taken = put_gen(world._replace(build=FILLER + number), number, locked=FILLER + number)
        yield "filler: takes the build lock, and the lease exclusively", _pc(taken, number, "claimed")


def _look_again(config: Config, world: World, number: int) -> Steps:
    in_use = used_by_name(world, number) if config.keeps("look at the replaced") else users(world, number)
    if in_use:
        build = NONE if world.build == FILLER + number else world.build
        kept = put_gen(world._replace(build=build), number, locked=NONE)
        yield "filler: sees that somebody uses the tree", _pc(kept, number, "serve")
    else:
        yield "filler: sees nobody who uses the tree", _pc(world, number, "unused")


def _let_go(world: World, number: int) -> World:
    world = _unpublish(world, number, "gone")
    build = NONE if world.build == FILLER + number else world.build
    return put_gen(world._replace(build=build), number, place="gone")
