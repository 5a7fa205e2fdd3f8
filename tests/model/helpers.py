"""What the helpers of a generation do in every order of steps: set up, fill, leave.

A step is one system call, or more of which no other process sees but the last.
"""

from __future__ import annotations

from world import (
    KILLED,
    NONE,
    Config,
    Helper,
    Steps,
    World,
    breaking,
    end_filler,
    end_guard,
    end_starter,
    put_gen,
)

LEAVING = ("cut", "leave", "leaving")


def move(world: World, number: int, pc: str, **changes: object) -> World:
    return put_gen(world, number, filler=world.gens[number].filler._replace(pc=pc), **changes)


def hand(world: World, number: int, hand: str, flag: bool = True) -> World:
    return put_gen(world, number, filler=world.gens[number].filler._replace(hand=hand, flag=flag))


def kill(config: Config, world: World, victims: list[int]) -> World:
    for who in victims:
        if not world.starters[who].guilty:
            world = breaking(config, world, KILLED)
        world = end_starter(world, who, "killed")
    return world


def fork_guard(world: World, number: int) -> World:
    """It gets every descriptor, and a copy of the static variables."""
    gen = world.gens[number]
    return put_gen(world, number, guard=Helper("watch", flag=gen.filler.flag), lone=False)


def fill(config: Config, world: World, number: int) -> Steps:
    gen = world.gens[number]
    if gen.watch:
        yield "filler: finds that all is there", move(world, number, first_leaving(config))
    elif config.bad:
        return
    elif not gen.full:
        yield "filler: fills the file, and marks it", put_gen(world, number, full=True)
    elif gen.top != "gone":
        yield "filler: releases the file", put_gen(world, number, top="gone", armed=False)
    else:
        yield "filler: says that all is there", move(world, number, first_leaving(config), watch=True)


def set_up(config: Config, world: World, number: int, order: tuple[str, ...], unsafe: frozenset[str]) -> Steps:
    """The stages of setting up, in `order`. One of `unsafe` fails behind "go", where the app is not told any more."""
    gen = world.gens[number]
    pc = gen.filler.pc
    after = order[order.index(pc) + 1]
    if pc == "go":
        yield "filler: says go", move(world, number, after, go=True)
        return
    done = fork_guard(world, number) if pc == "guard" else world
    yield f"filler: sets up its {pc}", move(done, number, after)
    if not config.refusals:
        return
    if pc in unsafe:
        yield f"filler: cannot set up its {pc}, and gives up", hand(move(world, number, "giving up"), number, "scan")
    else:
        yield f"filler: cannot set up its {pc}, and says so", end_filler(world, number)


def unpublish(world: World, number: int, place: str) -> World:
    if world.tree != number:
        return world
    return put_gen(world, number, place=place)._replace(tree=NONE)


def names(starters: list[int]) -> str:
    return ", ".join(f"start {who}" for who in starters)


def first_leaving(config: Config) -> str:
    return "cut" if config.tie else "leave"


def leave(world: World, number: int) -> Steps:
    pc = world.gens[number].filler.pc
    if pc == "cut":
        yield "filler: cuts the ties", move(world, number, "leave", cut=True)
    elif pc == "leave":
        yield "filler: kills its guard", move(end_guard(world, number), number, "leaving")
    else:
        yield "filler: exits", end_filler(world, number)
