"""The main job on real Asterisks: what is reported is what is there."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import pytest

from lab import traffic
from lab.instance import Instance
from tests.live.conftest import TASKPROCESSORS
from tests.live.running import (
    FILES,
    REPOSITORY,
    Result,
    profile,
    profile_traffic,
    public_tree,
    run_as_nobody,
    started,
)

pytestmark = [pytest.mark.live, pytest.mark.root]

# From the start of the thread to the container; "~" marks names inferred in a stripped binary.
STORY = (
    "start_thread",
    "~do_monitor",
    "ast_io_wait",
    "~sipsock_read",
    "~handle_incoming",
    "__stasis_subscribe_pool",
    "ast_threadpool_serializer_group",
    "ast_taskprocessor_create_with_listener",
    "__ao2_find",
)
COMPARATOR = "~cmp_fn@ast_tps_init"


@pytest.fixture(scope="module")
def field_story(story: Instance, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """One recording of the field story under REGISTER traffic, looked at by several tests."""
    folder = tmp_path_factory.mktemp("story") / "result"
    result, _ = profile_traffic(story, folder, "register", 8, "-F", "249", seconds=20)
    return result


def follows(stack: list[str], wanted: tuple[str, ...]) -> bool:
    """Return whether frames appear in this order, others between them or not."""
    frames = iter(stack)
    return all(name in frames for name in wanted)


def test_the_first_finding_on_what_burns_the_cpu_names_the_container(
    field_story: Result, story: Instance
) -> None:
    report = field_story.profile()
    # Where this machine is too slow for the storm, packets are lost, or a thread can do no more.
    first = next(f for f in report["findings"] if f["severity"] not in ("lost", "saturated"))
    assert first["id"] == "long-chain"
    assert first["title"].startswith("taskprocessors ")
    assert f"\n {first['rank']}. taskprocessors " in field_story.out
    container = report["containers"][0]
    assert container["name"].startswith("taskprocessors ")
    assert (container["kind"], container["buckets"]) == ("hash", 7)
    chain = TASKPROCESSORS / 7
    assert abs(container["comparisons"]["p50"] - chain) < 0.05 * chain
    assert abs(container["chain"]["mean"] - chain) < 0.005 * chain
    functions = {site["function"] for site in container["call_sites"]}
    assert "ast_taskprocessor_create_with_listener" in functions
    assert len(field_story.out.splitlines()) <= 22


def test_chains_are_counted_where_samples_need_most_of_the_budget(
    story: Instance, tmp_path: Path
) -> None:
    """A CPU that is always busy is sampled all the time, and few windows are left for lookups."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(traffic.run, "register", story, 100, 1_600)
        result = profile(story.pid, tmp_path / "result", seconds=12)
    (container,) = (
        one for one in result.profile()["containers"] if one["name"].startswith("taskprocessors ")
    )
    chain = TASKPROCESSORS / 7
    assert abs(container["comparisons"]["p50"] - chain) < 0.05 * chain


def test_elements_are_those_of_the_console(story: Instance, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    with started(story.pid, folder, "--budget", "20%", seconds=600) as running:
        running.wait_recording(0.5)
        # Realtime peers come and go with their registrations, so they end before the recording.
        sent = traffic.run("register", story, 3, 12)
        assert story.stable_taskprocessor_count() == TASKPROCESSORS
        running.send(signal.SIGINT)
        result = running.finish()
    assert sent.complete
    container = result.profile()["containers"][0]
    assert container["name"].startswith("taskprocessors ")
    assert container["elements_end"] == TASKPROCESSORS


@pytest.mark.parametrize(
    ("file", "leaf"), [("cpu.folded", "__ao2_find"), ("comparisons.folded", COMPARATOR)]
)
def test_one_stack_tells_the_whole_story(field_story: Result, file: str, leaf: str) -> None:
    stacks = [stack for stack, _ in field_story.folded(file) if follows(stack, STORY)]
    assert any(leaf in stack[-4:] for stack in stacks), stacks


def test_a_sampled_stack_reaches_the_comparison(field_story: Result) -> None:
    stacks = [stack for stack, _ in field_story.folded("cpu.folded")]
    wanted = (*STORY, "~internal_ao2_traverse", COMPARATOR)
    assert [stack for stack in stacks if follows(stack, wanted)]


@pytest.mark.parametrize("quality", ["stacks", "lookup_stacks"])
def test_stacks_are_whole_or_say_why(field_story: Result, quality: str) -> None:
    found = field_story.profile()[quality]
    assert found["whole"] > 0
    assert field_story.has_whole_stacks(quality)


def test_the_accounting_balances_and_nothing_is_lost(field_story: Result) -> None:
    for counts in field_story.profile()["accounting"].values():
        parts = ("kept", "filtered", "lost", "collided", "truncated")
        assert counts["fired"] == sum(counts[part] for part in parts)
        assert counts["kept"] > 0
        assert counts["lost"] + counts["collided"] <= 0.001 * counts["fired"]


def test_the_cost_is_within_the_budget_and_has_its_parts(field_story: Result) -> None:
    cost = field_story.profile()["cost"]
    assert cost["budget_ratio"] == 0.01
    assert 0 < cost["measured_ratio"] <= 0.01
    assert cost["sampling_ratio"] > 0
    assert cost["measured_ratio"] == pytest.approx(cost["sampling_ratio"] + cost["lookups_ratio"])
    (line,) = (line for line in field_story.out.splitlines() if line.startswith("cost to asterisk"))
    assert line.endswith("of one CPU (budget 1 %)")


def test_all_files_are_there_and_keep_to_their_schema(field_story: Result) -> None:
    assert {path.name for path in field_story.folder.iterdir()} == set(FILES)
    assert all(path.stat().st_size for path in field_story.folder.iterdir())
    schema = json.loads((REPOSITORY / "docs" / "profile.schema.json").read_text())
    jsonschema.validate(field_story.profile(), schema)


def test_files_belong_to_the_user_behind_sudo(sip: Instance, tmp_path: Path) -> None:
    folder = tmp_path / "result"
    profile(sip.pid, folder, seconds=1, SUDO_UID="65534", SUDO_GID="65534")
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (folder, *folder.iterdir())}
    assert owners == {(65534, 65534)}


def test_anybody_can_render_the_recording_again(field_story: Result) -> None:
    with public_tree() as tree:
        shutil.copy(field_story.folder / "recording", tree / "recording")
        (tree / "recording").chmod(0o644)
        again = run_as_nobody(["report", "recording", "-o", "again"], tree)
        assert again.code == 0, again.errors
        for name in FILES:
            expected = (field_story.folder / name).read_bytes()
            assert (tree / "again" / name).read_bytes() == expected, name
    assert again.out == field_story.out


def test_json_is_all_that_is_printed(sip: Instance, tmp_path: Path) -> None:
    result = profile(sip.pid, tmp_path / "result", "--json", seconds=1)
    assert json.loads(result.out) == result.profile()


@pytest.mark.parametrize("kind", ["register", "options", "calls"])
def test_the_newer_asterisk(pjsip: Instance, tmp_path: Path, kind: str) -> None:
    result, sent = profile_traffic(pjsip, tmp_path / "result", kind, 30, "-F", "499", seconds=8)
    # Requests are sent again until they are answered; beside other work some calls fail.
    assert sent.successful > 20 if kind == "calls" else sent.complete
    report = result.profile()
    assert report["target"]["version"].startswith("22.")
    assert report["containers"]
    assert all(site["line"] for c in report["containers"] for site in c["call_sites"])
    for quality in ("stacks", "lookup_stacks"):
        assert report[quality]["samples"] > 0
        assert result.has_whole_stacks(quality)


def test_endpoints_of_the_newer_asterisk(
    short_lived: Callable[..., Instance], tmp_path: Path
) -> None:
    asterisk = short_lived("22", endpoints=3_000)
    result, sent = profile_traffic(asterisk, tmp_path / "result", "register", 30, seconds=10)
    assert sent.complete
    found = {(c["name"] or "").split(" (")[0]: c for c in result.profile()["containers"]}
    endpoints = found["PJSIP endpoints"]
    assert (endpoints["kind"], endpoints["buckets"]) == ("hash", 53)
    assert 3_000 <= endpoints["elements_end"] <= 3_001  # and one of the system's own
    assert endpoints["chain"]["mean"] == pytest.approx(endpoints["elements_end"] / 53)
    assert endpoints["lookups"]["hit_ratio"] == 1
    assert [site["file"] for site in endpoints["call_sites"]]


def test_other_containers_are_the_worst_with_the_packaged_buckets(
    peers: Instance, tmp_path: Path
) -> None:
    result, _ = profile_traffic(peers, tmp_path / "result", "register", 30, "--full", seconds=10)
    report = result.profile()
    worst = max(report["containers"], key=lambda c: c["estimated_comparisons"])
    assert worst["name"].startswith(("stasis cache entries", "endpoints", "weak proxies"))
    tps = next(c for c in report["containers"] if (c["name"] or "").startswith("taskprocessors"))
    assert tps["buckets"] == 1567
    assert tps["comparisons"]["p50"] < 30
    assert not any(f["title"].startswith("taskprocessors") for f in report["findings"])
    assert "stasis_cache.c:404 cache_find" in result.out
