"""profile.speedscope.json in speedscope itself."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import jsonschema
import pytest

from profiler.renderers.exports.speedscope import render
from tests.browser.driver import Browser
from tests.examples import EXAMPLES

pytestmark = pytest.mark.browser

FILE = "profile.speedscope.json"


def written(example: str) -> str:
    out = io.StringIO()
    render(EXAMPLES[example](), out)
    return out.getvalue()


@pytest.mark.parametrize("example", EXAMPLES)
def test_speedscopes_own_schema_accepts_it(speedscope: Path, example: str) -> None:
    schema = json.loads((speedscope / "file-format-schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(json.loads(written(example)))


def show(browser: Browser, serve, speedscope: Path, folder: Path, text: str) -> None:
    """Open a profile as a table of functions."""
    (folder / FILE).write_text(text)
    (folder / "viewer").symlink_to(speedscope)  # one origin: pages may not read from another one
    address = serve(folder)
    browser.open(f"{address}/viewer/index.html#profileURL={address}/{FILE}&view=sandwich")


def wait_until_it_says(browser: Browser, *wanted: str) -> list[str]:
    """Return the page's lines when each of these is a part of one."""
    deadline = time.monotonic() + 60
    while True:
        said = browser.run("return document.body.innerText")
        lines = [line.strip() for line in said.splitlines()]
        missing = [text for text in wanted if not any(text in line for line in lines)]
        if not missing:
            return lines
        assert time.monotonic() < deadline, f"speedscope does not say {missing}: {said}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("example", "profile_name", "frames"),
    [
        (
            "field_story",
            "all threads (1/",
            [
                "do_monitor (chan_sip.so) (4733)",
                "tps_cmp_cb",
                "ast_endpoint_create",
                "~build_peer",
                "udp_recvmsg",
            ],
        ),
        ("hostile", "all threads (1/", ["leaf;with;semicolons", "[stack truncated: no table]"]),
        ("empty", "no sample was taken", ["No symbols found."]),
    ],
)
def test_speedscope_shows_names_and_frames(
    browser, serve, speedscope, tmp_path, example, profile_name, frames
) -> None:
    show(browser, serve, speedscope, tmp_path, written(example))
    lines = wait_until_it_says(browser, "Symbol Name", profile_name, *frames)
    assert [frame for frame in frames if frame not in lines] == []
    assert browser.run("return document.title").startswith("asterisk ")
    assert [error for error in browser.errors() if "GPU stall" not in error] == []


def test_the_other_threads_the_comparisons_and_the_waits_are_a_key_away(
    browser, serve, speedscope, tmp_path
) -> None:
    show(browser, serve, speedscope, tmp_path, written("field_story"))
    names = (
        "all threads",
        "do_monitor (chan_sip.so) (4733)",
        "main (4711)",
        "asterisk (4720)",
        "comparisons in lookups",
        "off-CPU",
        "off-CPU: waits for work",
    )
    for number, name in enumerate(names, start=1):
        wait_until_it_says(browser, f"{name} ({number}/{len(names)})")
        browser.press("n")


def test_a_profile_that_breaks_the_rules_is_noticed(browser, serve, speedscope, tmp_path) -> None:
    """The check above would see an error: speedscope refuses a negative weight."""
    broken = json.loads(written("field_story"))
    broken["profiles"][0]["weights"][0] = -1
    show(browser, serve, speedscope, tmp_path, json.dumps(broken))
    wait_until_it_says(browser, "Something went wrong")
