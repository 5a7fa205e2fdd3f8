"""Looks at every state that a protocol can get into, breadth first, so that what it finds is shortest.

A state is any hashable value; `steps` yields what can happen next, each with a line that says who does what. Nothing is
sampled and nothing is remembered by its hash alone: with the bounds of its configuration the search is exhaustive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

State = TypeVar("State")


@dataclass
class Explored(Generic[State]):
    """All states in the order in which they were found, and how each was reached for the first time."""

    states: list[State] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    edges: list[list[int]] = field(default_factory=list)  # only where `explore` was asked for them
    broken: int | None = None  # the first state that breaks a promise

    def trace(self, number: int) -> list[str]:
        """The shortest way from the beginning to a state, numbered."""
        lines: list[str] = []
        while number > 0:
            lines.append(self.labels[number])
            number = self.parents[number]
        return [f"{i}. {line}" for i, line in enumerate(reversed(lines), 1)]

    def never_reaching(self, goal: Callable[[State], bool]) -> int | None:
        """The first state from which no way leads to `goal`, or None. Follows the edges that were kept."""
        before: list[list[int]] = [[] for _ in self.states]
        for number, followers in enumerate(self.edges):
            for follower in followers:
                before[follower].append(number)
        good = [goal(state) for state in self.states]
        todo = [number for number, is_good in enumerate(good) if is_good]
        while todo:
            for number in before[todo.pop()]:
                if not good[number]:
                    good[number] = True
                    todo.append(number)
        return next((number for number, is_good in enumerate(good) if not is_good), None)


def explore(
    start: State,
    steps: Callable[[State], Iterable[tuple[str, State]]],
    breaks: Callable[[State], bool],
    counts: Callable[[str], bool] | None = None,
    limit: int = 10_000_000,
) -> Explored[State]:
    """Find all states, or the first that `breaks` a promise.

    With `counts`, keep the edges whose label it accepts. Raises MemoryError behind `limit` states, since a search that
    was cut short proves nothing.
    """
    found = Explored([start], [""], [0], [[]])
    numbers = {start: 0}
    queue = deque([0])
    while queue:
        number = queue.popleft()
        for label, state in steps(found.states[number]):
            follower = numbers.get(state)
            if follower is None:
                follower = _add(found, numbers, state, label, number)
                if breaks(state):
                    found.broken = follower
                    return found
                if follower >= limit:
                    raise MemoryError(f"more than {limit} states")
                queue.append(follower)
            if counts and counts(label):
                found.edges[number].append(follower)
    return found


def _add(found: Explored[State], numbers: dict[State, int], state: State, label: str, parent: int) -> int:
    number = numbers[state] = len(found.states)
    found.states.append(state)
    found.labels.append(label)
    found.parents.append(parent)
    found.edges.append([])
    return number


def walk(
    start: State, steps: Callable[[State], Iterable[tuple[str, State]]], wanted: Callable[[str], bool]
) -> Iterator[str]:
    """What happens from `start` on when only `wanted` things do, each time the first, until it repeats itself."""
    seen = {start}
    state = start
    while True:
        following = next(((label, after) for label, after in steps(state) if wanted(label)), None)
        if following is None:
            return
        label, state = following
        yield label
        if state in seen:
            return
        seen.add(state)
