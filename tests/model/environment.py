"""What happens to the protocol from outside: prune, a tmp cleaner, kill -9, a freezer, and the kernel's patience."""

from __future__ import annotations

from world import (
    KILLED,
    NONE,
    PRUNER,
    Config,
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


def is_fault(label: str) -> bool:
    """Whether it is one of those that need not happen: whoever lives must be able to end without them."""
    return label.startswith(("kill -9", "freezer: all of", "cleaner:"))


# --- Prune (tmprun/store/eviction.py) --------------------------------------------------------------------------------


def prune_steps(config: Config, world: World) -> Steps:
    number = world.pruned
    if world.pruner == "idle":
        if world.prunes and world.build == NONE and world.tree != NONE:
            locked = world._replace(pruner="lease", pruned=world.tree, build=PRUNER, prunes=world.prunes - 1)
            yield f"prune: takes the build lock, and opens entry {world.tree}", locked
    elif world.pruner == "lease":
        if any(s.lease and s.gen == number for s in world.starters) or world.gens[number].locked != NONE:
            yield "prune: finds the lease taken", _prune_end(world)
        else:
            taken = put_gen(world, number, locked=PRUNER)._replace(pruner="look")
            yield "prune: locks the lease, exclusively", taken
    elif world.pruner == "look":
        in_use = used_by_name(world, number) if config.keeps("look at the replaced") else users(world, number)
        yield "prune: looks through /proc", _prune_end(world) if in_use else world._replace(pruner="move")
    elif world.tree == NONE:
        yield "prune: finds nothing there any more", _prune_end(world)
    else:
        moved = put_gen(world, world.tree, place="gone")._replace(tree=NONE)
        yield "prune: renames the entry away and deletes it", _prune_end(moved)


def _prune_end(world: World) -> World:
    number = world.pruned
    if world.gens[number].locked == PRUNER:
        world = put_gen(world, number, locked=NONE)
    build = NONE if world.build == PRUNER else world.build
    return world._replace(pruner="idle", pruned=NONE, build=build)


# --- Faults ----------------------------------------------------------------------------------------------------------


def fault_steps(config: Config, world: World) -> Steps:
    if world.crashes:
        yield from _kills(config, world._replace(crashes=world.crashes - 1))
    if world.freezes:
        yield "freezer: all of the group stop", world._replace(freezes=world.freezes - 1, frozen=True)
    if world.cleaners and world.tree != NONE and world.gens[world.tree].watch:
        spoilt = put_gen(world, world.tree, watch=False)
        yield "cleaner: removes some other file of the tree", spoilt._replace(cleaners=world.cleaners - 1)


def _kills(config: Config, world: World) -> Steps:
    for who, starter in enumerate(world.starters):
        if not starter.app and not starter.ended:
            yield f"kill -9: start {who}", end_starter(world, who, "end")
    for number, gen in enumerate(world.gens):
        if gen.filler.alive:
            yield f"kill -9: filler of entry {number}", end_filler(world, number)
        if gen.guard.alive:
            yield f"kill -9: guard of entry {number}", end_guard(world, number)
    if world.pruner != "idle":
        yield "kill -9: prune", _prune_end(world)


# --- Time ------------------------------------------------------------------------------------------------------------


def frozen_steps(config: Config, world: World) -> Steps:
    """Nobody moves but the kernel. Timers of helpers fire before the time of a lease is over: they are set so."""
    yield "freezer: all go on", world._replace(frozen=False)
    after = _after_timers(config, world) if config.watchdog else world
    if after != world:
        yield "kernel: timers end helpers", after
        return
    for number, gen in enumerate(world.gens):
        if "broken" in (gen.top, gen.old):
            old = "gone" if gen.old == "broken" else gen.old
            top = "gone" if gen.top == "broken" else gen.top
            yield "kernel: a lease's time is over", put_gen(world, number, old=old, top=top)


def _after_timers(config: Config, world: World) -> World:
    """The guard's timer always runs, the filler's from a notice on or always: so both of them end only then."""
    before = world
    for number, gen in enumerate(before.gens):
        if gen.guard.alive:
            world = end_guard(world, number)
        if gen.filler.alive and (gen.armed or config.watchdog == "rolling"):
            world = end_filler(world, number)
        if "broken" not in (gen.top, gen.old) and _tied(world, number) < _tied(before, number):
            world = breaking(config, world, KILLED)
    return world


def _tied(world: World, number: int) -> int:
    return sum(starter.tied and starter.gen == number for starter in world.starters)


def time_steps(config: Config, world: World) -> Steps:
    """While helpers move, only the lease of an inode that has lost its name is left until its time is over."""
    for number, gen in enumerate(world.gens):
        arriving = any(s.into == number and s.at == "old" for s in world.starters)
        if gen.old and not arriving and not waiting(world, number, "old"):
            yield (
                "kernel: the time of the old inode's lease is over",
                put_gen(world, number, old="", armed=gen.top == "broken"),
            )
