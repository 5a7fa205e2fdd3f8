"""A start (joiner or builder, docs/store.md), and the app that it becomes."""

from __future__ import annotations

from world import (
    ENOENT,
    NONE,
    UNPUBLISHED,
    ZEROS,
    Config,
    Gen,
    Helper,
    Steps,
    World,
    breaking,
    end_starter,
    free_gen,
    put_gen,
    put_starter,
    used_by_name,
)


def steps(config: Config, world: World, who: int) -> Steps:
    """What the process `who` may do next."""
    step = _STEPS.get(world.starters[who].pc)
    if step:
        yield from step(config, world, who)


# --- Taking an entry: open, lock, compare the name, look whether it may be used (entry_take in stub/store/entry.c) ----


def _look(config: Config, world: World, who: int) -> Steps:
    if world.tree == NONE:
        yield "finds no entry", _miss(world, who)
    else:
        yield f"opens entry {world.tree}", put_starter(world, who, pc="lease", gen=world.tree)


def _miss(world: World, who: int) -> World:
    pc = "clear" if world.build == who else "lock"
    return put_starter(world, who, pc=pc, gen=NONE, lease=False, tied=False)


def _lease(config: Config, world: World, who: int) -> Steps:
    gen = world.gens[world.starters[who].gen]
    if gen.locked != NONE or gen.place == "gone":
        yield "finds the lease locked or gone", _miss(world, who)
    else:
        yield "locks the lease, shared", put_starter(world, who, pc="named", lease=True)


def _named(config: Config, world: World, who: int) -> Steps:
    if world.tree != world.starters[who].gen:
        yield "sees that the entry has lost its name", _miss(world, who)
    else:
        pc = "tie" if config.tie and config.keeps("tie before look") else "alive"
        yield "sees that the entry still has its name", put_starter(world, who, pc=pc)


def _tie(config: Config, world: World, who: int) -> Steps:
    gen = world.gens[world.starters[who].gen]
    pc = "alive" if config.keeps("tie before look") else "exec"
    yield "ties itself to the helpers' end", put_starter(world, who, pc=pc, tied=gen.alive)


def _alive(config: Config, world: World, who: int) -> Steps:
    gen = world.gens[world.starters[who].gen]
    if not gen.watch and not gen.alive:
        yield "finds it neither complete nor being filled", _miss(world, who)
        return
    build = NONE if world.build == who else world.build
    late = config.tie and not config.keeps("tie before look")
    yield "may use it", put_starter(world._replace(build=build), who, pc="tie" if late else "exec")


# --- Building one ----------------------------------------------------------------------------------------------------


def _lock(config: Config, world: World, who: int) -> Steps:
    if world.build == NONE:
        yield "takes the build lock", put_starter(world._replace(build=who), who, pc="look")


def _clear(config: Config, world: World, who: int) -> Steps:
    if config.keeps("replace by exchange") or world.tree == NONE:
        yield from _begin(config, world, who)
        return
    world = put_gen(world, world.tree, place="trash")
    yield "renames what is there to the trash", put_starter(world._replace(tree=NONE), who, pc="build")


def _begin(config: Config, world: World, who: int) -> Steps:
    number = free_gen(world)
    if number is None:
        return
    if config.keeps("replace in full") and world.tree != NONE and used_by_name(world, world.tree):
        # What replaces a tree in use is complete at once: its users are not tied to the helpers of another.
        yield from _eager(config, world, who, number)
        return
    world = put_gen(world, number, **Gen(place="stage", filler=Helper("skeleton"))._asdict())
    yield f"stages entry {number} and forks its filler", put_starter(world, who, pc="go?", gen=number)


def _await_go(config: Config, world: World, who: int) -> Steps:
    number = world.starters[who].gen
    gen = world.gens[number]
    if gen.go:
        yield "is told to go", put_starter(world, who, pc="publish")
    elif not gen.alive:
        yield from _eager(config, world, who, number)


def _eager(config: Config, world: World, who: int, number: int) -> Steps:
    if config.bad:
        world = put_gen(world, number, place="gone")
        yield "unpacks everything first: it is damaged, and its user is told", end_starter(world, who, "told")
        return
    world = put_gen(world, number, **Gen(place="stage", full=True, watch=True, top="gone")._asdict())
    yield f"unpacks everything into entry {number}", put_starter(world, who, pc="publish", gen=number)


def _publish(config: Config, world: World, who: int) -> Steps:
    number = world.starters[who].gen
    old = world.tree
    if old != NONE and not config.keeps("replace by exchange"):
        world = put_gen(world, number, place="gone")
        yield "finds another entry in its place", put_starter(world, who, pc="look", gen=NONE)
        return
    world = put_gen(world, number, place="tree")._replace(tree=number)
    if old != NONE:
        world = put_gen(world, old, place="trash")
    how = f"exchanges entry {old} for {number}" if old != NONE else f"publishes entry {number}"
    yield how, put_starter(world, who, pc="look", gen=NONE)


# --- The app ---------------------------------------------------------------------------------------------------------


def _exec(config: Config, world: World, who: int) -> Steps:
    starter = world.starters[who]
    if world.tree == NONE:
        gone = end_starter(breaking(config, world, UNPUBLISHED), who, "end")
        yield f"execs, and entry {starter.gen} has no name", gone
    else:
        yield "execs the app", put_starter(world, who, pc="run")


def _run(config: Config, world: World, who: int) -> Steps:
    starter = world.starters[who]
    yield "ends", end_starter(world, who, "end")
    if starter.opens:
        yield from _open(config, world, who, "by its absolute path", world.tree)
        yield from _open(config, world, who, "from where it stands", starter.gen)
    if config.closes and starter.lease:
        yield "closes what it inherited", put_starter(world, who, lease=False, tied=False)


def _open(config: Config, world: World, who: int, how: str, number: int) -> Steps:
    starter = world.starters[who]
    if number == NONE or world.gens[number].place == "gone":
        yield f"opens the file {how}: ENOENT", end_starter(breaking(config, world, ENOENT), who, "end")
        return
    found = put_starter(world, who, pc="resolved", opens=starter.opens - 1, into=number, at="top", guilty=config.bad)
    yield f"opens the file {how}, and finds its inode in entry {number}", found


def _arrive(config: Config, world: World, who: int) -> Steps:
    starter = world.starters[who]
    gen = world.gens[starter.into]
    if getattr(gen, starter.at) == "gone":
        yield from _read(config, world, who)
        return
    world = put_gen(world, starter.into, **{starter.at: "broken"})
    yield "waits for the file", put_starter(world, who, pc="waiting")


def _wait(config: Config, world: World, who: int) -> Steps:
    starter = world.starters[who]
    if getattr(world.gens[starter.into], starter.at) == "gone":
        yield from _read(config, world, who)


def _read(config: Config, world: World, who: int) -> Steps:
    starter = world.starters[who]
    right = world.gens[starter.into].full and starter.at == "top"
    after = put_starter(world, who, pc="run", into=NONE, at="")
    if right:
        yield "reads the file: right", after
    else:
        yield "reads the file: zeros", breaking(config, after, ZEROS)


_STEPS = {
    "look": _look,
    "lease": _lease,
    "named": _named,
    "tie": _tie,
    "alive": _alive,
    "lock": _lock,
    "clear": _clear,
    "build": _begin,
    "go?": _await_go,
    "publish": _publish,
    "exec": _exec,
    "run": _run,
    "resolved": _arrive,
    "waiting": _wait,
}
