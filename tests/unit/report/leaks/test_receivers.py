"""Who got a reference and should have given it back."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.leaks import LeaksRecording, Receiver
from profiler.model.recording import CallSite, Frame, Stack
from profiler.report.leaks.leak_names import names_of
from profiler.report.leaks.receivers import receiver_of
from profiler.report.references.accounts import Account
from profiler.report.references.histories import BIRTH, History, history_of
from profiler.report.references.overdue import Overdue
from tests.followed_objects import World, record
from tests.object_histories import GIVE, OTHER_GIVE, SITES, TAKE, changed, followed, use_of

FRAMES = ("build", "~find", "~give", "~forget", "~other_give", "main")
BUILD, FIND, GIVER, FORGETFUL, OTHER, MAIN = range(len(FRAMES))
PLACES = (*SITES, CallSite("a.c", 9, "forget"))
FORGETS = len(SITES)
WAYS = ((BUILD, FIND, GIVER, MAIN), (BUILD, FIND, FORGETFUL, MAIN), (BUILD, OTHER, MAIN))
GAVE, FORGOT, OTHERWISE = range(len(WAYS))


def recording() -> LeaksRecording:
    return replace(
        record(World(1, 1, 1)),
        frames=tuple(Frame(at, None, None, None, name, "symtab") for at, name in enumerate(FRAMES)),
        stacks=tuple(Stack(way, 0, None) for way in WAYS),
        sites=PLACES,
        types=(),
    )


def born(stack: int, *sites: int) -> History:
    """An object that was made on that way, and given back at these places."""
    changes = [changed(1 + at, -1, site) for at, site in enumerate(sites)]
    return history_of(replace(followed(*changes), stack=stack), PLACES)


def find(*histories: History, forgot: int = FORGOT) -> Receiver | None:
    account = Account(frozenset([BIRTH]), frozenset([GIVE, OTHER_GIVE]))
    use = use_of(account, histories)
    examples = tuple((account, one) for one in use.closed)
    overdue = Overdue(0, account, use.openings, use.openings, 1, use.closed, examples)
    made = recording()
    stack = tuple(FRAMES[frame] for frame in WAYS[forgot])
    return receiver_of(made, overdue, stack, names_of(made))


def test_who_was_called_like_those_who_gave_it_back_should_have() -> None:
    assert find(born(GAVE, GIVE), born(FORGOT)) == Receiver("~forget", ("~give",), ())


def test_who_gave_it_back_sometimes_is_named_itself() -> None:
    assert find(born(GAVE, GIVE), born(GAVE), forgot=GAVE) == Receiver("~give", ("~give",), ())


def test_the_way_that_most_went_counts() -> None:
    others = [born(OTHERWISE, OTHER_GIVE), born(GAVE, GIVE), born(GAVE, GIVE)]
    assert find(*others, born(FORGOT)) == Receiver("~forget", ("~give",), ())


def test_who_came_otherwise_tells_nothing() -> None:
    assert find(born(GAVE, GIVE), forgot=OTHERWISE) is None
    assert find(born(FORGOT)) is None


def test_where_the_giver_is_on_no_stack_nobody_is_named() -> None:
    assert find(born(FORGOT, GIVE), born(FORGOT)) is None


def test_other_references_that_it_gives_back_are_named() -> None:
    changes = (changed(1, 1, TAKE), changed(2, -1, FORGETS), changed(3, -1, GIVE))
    other = history_of(replace(followed(*changes), stack=GAVE), PLACES)
    assert other.is_closed
    found = find(other, born(FORGOT))
    assert found == Receiver("~forget", ("~give",), ("a.c:9 forget",))
