"""The protocol of starts, helpers and prune, looked at exhaustively: what today's order breaks, and the new does not.

Three orders of steps: today's; "rename", which takes the entry away, ends all who use it, and lets go; and the new one.

The model: world.py (what is shared), starting.py, filling.py with helpers.py, giving_up.py and refusing.py, and
environment.py (who does what), protocol.py (all together).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from environment import is_fault
from explorer import Explored
from protocol import check, check_ends, goes_on
from world import ALL, ENOENT, KILLED, RULES, UNPUBLISHED, ZEROS, Config, World

TODAY = Config("today")
NEW = Config("new", tie=True, watchdog="notice")


def story(found: Explored[World]) -> str:
    """The trace to the state that breaks a promise, for people."""
    assert found.broken is not None, f"nothing is broken in {len(found.states)} states"
    return "\n".join([*found.trace(found.broken), found.states[found.broken].broken])


def breaks(config: Config, *promises: str) -> str:
    """How one of the promises is broken, the others left aside."""
    found = check(replace(config, promises=frozenset(promises)))
    return story(found)


def keeps_all(config: Config) -> Explored[World]:
    """Nothing is broken, and whatever happens the helpers can end."""
    found, endless = check_ends(config)
    assert found.broken is None, story(found)
    assert endless is None, "\n".join(
        [*found.trace(endless), "and then for ever:", *goes_on(config, found.states[endless])]
    )
    return found


# --- Today ------------------------------------------------------------------------------------------------------------


def test_today_nothing_breaks_as_long_as_nothing_goes_wrong() -> None:
    keeps_all(TODAY)


@pytest.mark.parametrize("promise", [ZEROS, ENOENT, UNPUBLISHED])
def test_today_a_start_comes_between_the_last_look_and_the_removal(promise: str) -> None:
    """give_up looks for users, and then takes the entry away without having locked out those who come."""
    trace = breaks(replace(TODAY, bad=True), promise)
    looked, removed = trace.index("sees nobody who uses the tree"), trace.index("takes the entry out of the store")
    assert "start 1" in trace[looked:removed], trace


def test_today_who_has_opened_nothing_is_killed() -> None:
    assert "ends who uses the tree" in breaks(replace(TODAY, bad=True), KILLED)


def test_today_helpers_replace_each_other_for_ever() -> None:
    config = replace(TODAY, bad=True, starters=1, promises=frozenset())
    found, endless = check_ends(config)
    assert endless is not None
    cycle = "\n".join(goes_on(config, found.states[endless]))
    assert "guard: takes over" in cycle and "kills the filler, which does not move" in cycle


def test_today_an_app_goes_before_there_are_threads() -> None:
    trace = breaks(replace(TODAY, refusals=True), KILLED)
    assert trace.index("says go") < trace.index("cannot set up its threads"), trace


def test_today_two_lost_helpers_are_zeros() -> None:
    assert "kill -9" in breaks(replace(TODAY, starters=1, crashes=2), ZEROS)


def test_today_a_long_freeze_is_zeros() -> None:
    assert "a lease's time is over" in breaks(replace(TODAY, starters=1, freezes=1), ZEROS)


def test_today_a_rebuild_takes_the_tree_from_a_running_app() -> None:
    assert "renames what is there to the trash" in breaks(replace(TODAY, cleaners=1), ENOENT)


# --- Renaming away, ending all, and letting go ------------------------------------------------------------------------


def test_renaming_away_first_leaves_no_zeros() -> None:
    found = check(Config("rename", bad=True, promises=frozenset({ZEROS})))
    assert found.broken is None, story(found)


@pytest.mark.parametrize("promise", [ENOENT, KILLED])
def test_renaming_away_first_is_seen_by_those_who_live(promise: str) -> None:
    assert "renames the entry away" in breaks(Config("rename", bad=True), promise)


# --- New --------------------------------------------------------------------------------------------------------------

FAULTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "crashes": {"crashes": 1},
    "two lost": {"crashes": 2, "starters": 1, "opens": 2},
    "refusals": {"refusals": True, "crashes": 1},
    "prune": {"prunes": 1, "crashes": 1},
    "rebuild": {"cleaners": 1, "prunes": 1},
    "closing": {"closes": True, "prunes": 1},
}


@pytest.mark.parametrize("bad", [False, True], ids=["fillable", "damaged"])
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_new_nothing_breaks(bad: bool, faults: dict[str, Any]) -> None:
    keeps_all(replace(NEW, bad=bad, **faults))


LARGE: dict[str, dict[str, Any]] = {
    "three starts": {"starters": 3, "generations": 4},
    "three starts and prune": {"starters": 3, "prunes": 1},
    "two lost, two starts": {"crashes": 2, "opens": 2},
    "three crashes": {"crashes": 3},
    "all at once": {"crashes": 1, "prunes": 1, "cleaners": 1},
    "two rebuilds": {"cleaners": 2, "prunes": 2, "generations": 4},
}


@pytest.mark.soak
@pytest.mark.parametrize("bad", [False, True], ids=["fillable", "damaged"])
@pytest.mark.parametrize("faults", LARGE.values(), ids=LARGE.keys())
def test_new_nothing_breaks_with_more_of_everything(bad: bool, faults: dict[str, Any]) -> None:
    keeps_all(replace(NEW, bad=bad, **faults))


# What is broken when a rule is left out, and the fault that it takes.
NEEDED: dict[str, tuple[str, dict[str, Any]]] = {
    "tie before look": (ZEROS, {"crashes": 2, "starters": 1}),
    "set up before go": (KILLED, {"refusals": True}),
    "give up one file": (KILLED, {"bad": True}),
    "share descriptors": (ZEROS, {"bad": True, "crashes": 1}),
    "replace by exchange": (ENOENT, {"cleaners": 1}),
    "replace in full": (ZEROS, {"cleaners": 1, "crashes": 2}),
    "look at the replaced": (ENOENT, {"cleaners": 1, "prunes": 1}),
    "rename under the lock": (UNPUBLISHED, {"bad": True}),
}


def test_every_rule_has_a_case() -> None:
    assert set(NEEDED) == set(RULES)


# The one that takes more than a moment.
SLOW = {"replace in full"}
CASES = [
    pytest.param(rule, faults, promise, id=rule, marks=[pytest.mark.soak] if rule in SLOW else [])
    for rule, (promise, faults) in NEEDED.items()
]


@pytest.mark.parametrize(("rule", "faults", "promise"), CASES)
def test_new_each_rule_is_needed(rule: str, faults: dict[str, Any], promise: str) -> None:
    breaks(replace(NEW, without=rule, **faults), promise)


# --- What is not promised ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"tie": False}, {"closes": True}], ids=["no tie", "closed"])
def test_without_a_tie_two_lost_helpers_are_zeros(changes: dict[str, Any]) -> None:
    breaks(replace(NEW, starters=1, crashes=2, **changes), ZEROS)


def test_a_freeze_between_the_opening_and_its_notice_is_zeros() -> None:
    """The one moment at which the filler's timer does not run yet."""
    assert "sets its timer" not in breaks(replace(NEW, starters=1, freezes=1), ZEROS)


def test_a_timer_that_always_runs_ends_apps_that_wait_for_nothing() -> None:
    rolling = replace(NEW, watchdog="rolling", starters=1, freezes=1)
    found = check(replace(rolling, promises=ALL - {KILLED}))
    assert found.broken is None, story(found)
    assert "timers end helpers" in breaks(rolling, KILLED)


def test_faults_are_told_from_what_happens_anyway() -> None:
    assert is_fault("kill -9: prune") and not is_fault("freezer: all go on")
