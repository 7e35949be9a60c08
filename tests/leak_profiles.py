"""Profiles of leaks that tests render."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.leaks import (
    LEAKS_SCHEMA,
    ElementType,
    GivenBack,
    GrowingContainer,
    Held,
    LeaksProfile,
    LinkPlace,
    NameCount,
    Receiver,
    Suspect,
    TypeSummary,
)
from profiler.model.recording import Window
from tests import examples

SECOND = 1_000_000_000
PEERS = TypeSummary(
    name="~sip_destroy_peer",
    allocated_at="chan_sip.c:31698 build_peer",
    born=420,
    freed=9,
    alive=403,
    lost=8,
    freed_age_p99_ns=800_000_000,
    alive_age_min_ns=2 * SECOND,
    alive_age_max_ns=118 * SECOND,
    names_read=64,
    names=(NameCount("N", 61),),
)
MESSAGES = TypeSummary("~dtor", "stasis_message.c:148 create", 5_000, 4_990, 10, 0, 40_000, 1, 900)
LEAKING = Suspect(
    summary=PEERS,
    taken_at=("chan_sip.c:17102 parse_register_contact",),
    given_back_at=(GivenBack("chan_sip.c:17160 parse_register_contact", 1.0, 0.0),),
    agreeing=350,
    compared=352,
    held_min_ns=30 * SECOND,
    closed_max_ns=1_500_000,
    stack=("__ao2_ref", "~parse_register_contact", "~register_verify", "~do_monitor"),
    receiver=Receiver(
        "~register_verify",
        ("~register_verify", "~handle_request_invite"),
        ("chan_sip.c:17300 register_verify",),
    ),
    containers=(),
    held_by=None,
    holds=(Held("~endpoint_dtor", 350), Held("~tps_taskprocessor_dtor", 1_050)),
)
LINKED = replace(
    LEAKING,
    summary=replace(PEERS, name="objects of state_alloc", freed=0, freed_age_p99_ns=None),
    given_back_at=(),
    closed_max_ns=None,
    agreeing=5,
    compared=5,
    held_min_ns=91 * SECOND,
    stack=(),
    receiver=None,
    containers=("container of state.c (~state_cmp)",),
    holds=(),
)
GROWING = GrowingContainer(
    name="taskprocessors (~cmp_fn@ast_tps_init)",
    elements_start=57_748,
    elements_end=60_503,
    per_minute=1_561.2,
    linked_at=(LinkPlace("taskprocessor.c:1083 __allocate_taskprocessor", 1_900),),
    unlinked_at=(LinkPlace("taskprocessor.c:1196 ast_taskprocessor_unreference", 800),),
    stack=(
        "~__allocate_taskprocessor",
        "ast_taskprocessor_create_with_listener",
        "~endpoint_internal_create",
        "~build_peer",
    ),
    linked=1_300,
    kept=1_053,
    left=240,
    unknown=7,
    elements=(
        ElementType(
            *("~tps_taskprocessor_dtor", 1_050, "~sip_destroy_peer", 64),
            (NameCount("SIP/N-N", 40), NameCount("stasis/p:endpoint:SIP/N-N", 20)),
        ),
        ElementType("objects of other_alloc", 3, None),
    ),
)
HELD = replace(LEAKING, held_by="~sip_destroy_peer", holds=())


def profile(*suspects: Suspect, **changes: object) -> LeaksProfile:
    known = LeaksProfile(
        schema=LEAKS_SCHEMA,
        tool_version="0.1.0",
        started_at="2026-11-28T02:00:00Z",
        target=examples.target(),
        window=Window(0, 120 * SECOND),
        stopped_by="duration",
        born=20_000,
        not_chosen=14_570,
        no_room=10,
        followed=5_420,
        freed=4_999,
        alive=413,
        lost=8,
        changes=31_000,
        changes_lost=12,
        types=(PEERS, MESSAGES),
        suspects=suspects,
        containers=(),
        cost_ratio=0.006,
        budget_ratio=0.01,
        warnings=(),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def leaking() -> LeaksProfile:
    unseen = replace(GROWING, name="list at 0x9000", linked_at=(), unlinked_at=(), stack=())
    unseen = replace(unseen, linked=0, kept=0, left=0, unknown=0, elements=())
    return profile(LEAKING, LINKED, HELD, containers=(GROWING, unseen))


def healthy() -> LeaksProfile:
    return profile(window=Window(0, 10 * SECOND), types=(replace(MESSAGES, alive=0, freed=5_000),))


def hostile() -> LeaksProfile:
    """Return one in which every name that comes from the target is bad."""
    bad = "\x1b[2J<script>alert(1)</script>\u202e" + "x" * 5_000
    summary = replace(PEERS, name=bad, allocated_at=bad, names=(NameCount(bad, 1),) * 9)
    suspect = replace(
        LINKED,
        summary=summary,
        taken_at=(bad,) * 9,
        given_back_at=(GivenBack(bad, 1.0, 0.0),) * 9,
        stack=(bad,) * 99,
        receiver=Receiver(bad, (bad,) * 9, (bad,) * 9),
        containers=(bad,) * 9,
        holds=(Held(bad, 3),) * 99,
    )
    growing = replace(
        GROWING,
        name=bad,
        linked_at=(LinkPlace(bad, 1),) * 99,
        unlinked_at=(LinkPlace(bad, 1),) * 99,
        stack=(bad,) * 99,
        elements=(ElementType(bad, 1, bad, 64, (NameCount(bad, 1),)),) * 9,
    )
    target = examples.target(version=bad)
    return profile(
        *(suspect,) * 99,
        target=target,
        types=(summary,) * 99,
        containers=(growing,) * 99,
        warnings=(bad,),
        stopped_by=bad,
        budget_ratio=None,
    )


EXAMPLES = {"leaking": leaking, "healthy": healthy, "hostile": hostile}
