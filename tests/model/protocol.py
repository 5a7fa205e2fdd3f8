"""The protocol as a whole: whose turn it may be, and what must be true."""

from __future__ import annotations

from environment import fault_steps, frozen_steps, is_fault, prune_steps, time_steps
from explorer import Explored, explore, walk
from filling import steps as filling_steps
from starting import steps as starting_steps
from world import Config, Step, Steps, World, begin, tidy


def steps(config: Config, world: World) -> Steps:
    """Everything that can happen next: anybody may be the one who moves."""
    for label, after in _steps(config, world):
        yield label, tidy(after)


def _steps(config: Config, world: World) -> Steps:
    if world.frozen:
        yield from frozen_steps(config, world)
        return
    for number, gen in enumerate(world.gens):
        if gen.alive:
            yield from ((f"entry {number}'s {label}", after) for label, after in filling_steps(config, world, number))
    for who, starter in enumerate(world.starters):
        if not starter.ended:
            yield from ((f"start {who}: {label}", after) for label, after in starting_steps(config, world, who))
    yield from prune_steps(config, world)
    yield from time_steps(config, world)
    yield from fault_steps(config, world)


def check(config: Config) -> Explored[World]:
    """All states; ends at the first in which one of `config.promises` is broken."""
    return explore(begin(config), lambda world: steps(config, world), lambda world: bool(world.broken))


def check_ends(config: Config) -> tuple[Explored[World], int | None]:
    """All states, and the first from which the helpers cannot end, though all others do and nothing more goes wrong."""
    found = explore(
        begin(config),
        lambda world: steps(config, world),
        lambda world: bool(world.broken),
        lambda label: not is_fault(label),
    )
    return found, found.never_reaching(is_over)


def is_over(world: World) -> bool:
    return all(starter.ended for starter in world.starters) and not any(gen.alive for gen in world.gens)


def goes_on(config: Config, world: World) -> list[str]:
    """What is done for ever in a world that cannot end, when everybody but its helpers has ended."""

    def following(now: World) -> Steps:
        ends = [step for step in steps(config, now) if _is_last(step)]
        yield from ends or steps(config, now)

    return list(walk(world, following, lambda label: not is_fault(label)))


def _is_last(step: Step) -> bool:
    return step[0].startswith("start") and step[0].endswith(("ends", "reads the file: right"))
