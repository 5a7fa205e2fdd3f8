"""The helpers of one generation, whichever their order of steps: the guard takes over when the filler is gone."""

from __future__ import annotations

import giving_up
import refusing
from world import Config, Gen, Helper, Steps, World, put_gen, release_claim


def steps(config: Config, world: World, number: int) -> Steps:
    """What the helpers of generation `number` may do next."""
    gen = world.gens[number]
    if gen.guard.alive and not gen.filler.alive:
        heir = Helper(_first_work(config, gen), flag=gen.guard.flag)
        taken = put_gen(release_claim(world, number), number, filler=heir, guard=Helper())
        yield "guard: takes over, and lets go of what the filler had claimed", taken
    if gen.filler.alive:
        yield from (refusing if config.new else giving_up).steps(config, world, number)


def _first_work(config: Config, gen: Gen) -> str:
    if not gen.go:
        return "guard"
    return "serve" if config.new else "threads"
