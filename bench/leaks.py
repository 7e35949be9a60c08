"""How often `ebpf-prof leaks` names who forgets a reference, and whether it accuses who does not.

In the lab's module the truth is known: one type forgets at one of seven places, ten healthy ones
live for 10 ms to 60 s, and eight threads take and give back references all the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.tables import Table, promise
from lab.instance import Instance, Options, start

DOCUMENT = "leaks.md"
SITES = ("birth", "link", "find", "attach", "owner", "holder", "task")
SHARES = (5, 50, 100)
VERSIONS = ("16", "22")
SECONDS = 120
RATE, STORM = 20, 50  # objects of each type, and rounds of each thread, per second
# The object that forgets, and the one that holds it: of that the reference is forgotten, or it
# lives on for long with others of its type.
LEAKING = {"leaky_destroy", "owner_destroy"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run said; whether the release is named where one was seen."""

    share: int
    is_first: bool
    is_release_named: bool
    accused: tuple[str, ...]  # healthy types


def run() -> Table:
    """Return the table; each version has an Asterisk of its own, at the same time."""
    cases = [(site, share) for share in SHARES for site in SITES]
    with ThreadPoolExecutor(len(VERSIONS)) as pool:
        jobs = [
            pool.submit(_runs, version, cases[at :: len(VERSIONS)])
            for at, version in enumerate(VERSIONS)
        ]
        outcomes = [outcome for job in jobs for outcome in job.result()]
    accused = sorted({name for outcome in outcomes for name in outcome.accused})
    of_some = [outcome for outcome in outcomes if outcome.share < 100]
    return Table(
        "leaks",
        ("share that leaks", "runs", "true place first", "its release named", "healthy accused"),
        tuple(_row(f"{share} %", outcomes, share) for share in SHARES),
        (
            promise("the first suspect names the place", all(one.is_first for one in outcomes)),
            promise(
                "the release that is lacking is named where others gave it back",
                all(one.is_release_named for one in of_some),
            ),
            promise(f"no healthy type is accused {accused or ''}".strip(), not accused),
        ),
    )


def _row(name: str, outcomes: Sequence[Outcome], share: int) -> tuple[str, ...]:
    own = [outcome for outcome in outcomes if outcome.share == share]
    return (
        name,
        str(len(own)),
        str(sum(outcome.is_first for outcome in own)),
        str(sum(outcome.is_release_named for outcome in own)),
        str(sum(bool(outcome.accused) for outcome in own)),
    )


def _runs(version: str, cases: Sequence[tuple[str, int]]) -> list[Outcome]:
    with start(Options(version, f"bench-leaks{version}").complete()) as asterisk:
        return [_run(asterisk, site, share) for site, share in cases]


def _run(asterisk: Instance, site: str, share: int) -> Outcome:
    plan = f"site={site} percent={share} rate={RATE} storm={STORM}"
    asterisk.groundtruth(f"objects start {plan}")
    command = [sys.executable, "-m", "profiler", "leaks", "-q", "--json"]
    try:
        shown = subprocess.run(
            [*command, "-p", str(asterisk.pid), "-d", f"{SECONDS}s"],
            stdout=subprocess.PIPE,
            check=True,
        )
    finally:
        truth = asterisk.groundtruth("objects free")
    outcome = judge(json.loads(shown.stdout), truth, site, share)
    print(f"{asterisk.options.version} {site} {share} %: {outcome}", file=sys.stderr, flush=True)
    return outcome


def judge(profile: Mapping[str, Any], truth: Mapping[str, Any], site: str, share: int) -> Outcome:
    """Compare what was said with what the module knows."""
    roots = [one for one in profile["suspects"] if one["held_by"] is None]
    leaking = "owner_destroy" if site == "holder" else "leaky_destroy"
    named = [one["summary"]["name"] for one in roots[:1]]
    taken = [place for one in roots[:1] for place in one["taken_at"]]
    given = [back["site"] for one in roots[:1] for back in one["given_back_at"][:1]]
    names = {one["summary"]["name"] for one in profile["suspects"]}
    return Outcome(
        share=share,
        is_first=named == [leaking] and taken == [_taken(truth)],
        is_release_named=truth["given"] is not None and given == [_place(truth["given"])],
        accused=tuple(sorted(names - LEAKING)),
    )


def _taken(truth: Mapping[str, Any]) -> str:
    """Return where the reference is taken: one that an object is born with, where it is made."""
    made = next(one for one in truth["types"] if one["name"] == "leaky")
    return _place(truth["taken"] or made)


def _place(line: Mapping[str, Any]) -> str:
    return "{file}:{line} {function}".format(**line)
