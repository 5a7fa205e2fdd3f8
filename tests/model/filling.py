"""The helpers of one generation, whichever their order of steps: the guard takes over when the filler is gone."""

from __future__ import annotations

import giving_up
import refusing
from world import Config, Gen, Helper, Steps, World, end_guard, put_gen, release_claim


def steps(config: Config, world: World, number: int) -> Steps:
    """What the helpers of generation `number` may do next."""
    gen = world.gens[number]
    if gen.filler.alive:
        yield from (refusing if config.new else giving_up).steps(config, world, number)
    elif gen.go or not config.new:
        heir = Helper(_first_work(gen, config), flag=gen.guard.flag)
        taken = put_gen(release_claim(world, number), number, filler=heir, guard=Helper())
        yield "guard: takes over, and lets go of what the filler had claimed", taken
    else:
        yield "guard: exits, since nobody was told to go", end_guard(world, number)


def _first_work(gen: Gen, config: Config) -> str:
    if config.new:
        return "serve"
    return "threads" if gen.go else "guard"
