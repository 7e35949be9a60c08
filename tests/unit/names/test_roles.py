"""Roles of functions that a module hands over, on a stripped one whose symbols we know."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.binary.references import CodeReferences
from profiler.names.roles import Roles
from tests.compiled import build, image_of, symbols_of

SOURCE = """
#define FILE_LINE_FUNCTION "main.c", 7, "creator"
static volatile int count;
#define LOCAL(name) static int name(void *data) { return count += __COUNTER__ + (data != 0); }
int ast_sched_add(void *, int, int (*)(void *), void *);
int ast_manager_register2(const char *, int, int (*)(void *), void *, const char *, const char *);
int ast_channel_register(const void *);
int pjsip_endpt_register_module(void *, void *);
void *ast_taskprocessor_listener_alloc(const void *, void *);
int __ast_taskprocessor_push(void *, int (*)(void *), void *, const char *, int, const char *);
int pthread_create(void *, void *, int (*)(void *), void *);
int take(int (*)(void *));
LOCAL(expired) LOCAL(action_status) LOCAL(sip_devicestate) LOCAL(sip_requester) LOCAL(on_request)
LOCAL(pushed) LOCAL(task) LOCAL(run) LOCAL(taken) LOCAL(unnamed_request) LOCAL(twice)

static struct { const char *type, *text; void *formats; long properties; int (*call[5])(void *); }
    tech = {"SIP", "phones", 0, 0, {sip_requester, 0, sip_devicestate}};
struct module { void *list[2]; const char *name; long length; int at[2]; int (*call[9])(void *); };
static struct module stack = {{0}, "mod-stack", 9, {0}, {0, 0, 0, 0, on_request}};
static struct module other = {{0}, "no owner; at all", 9, {0}, {0, 0, 0, 0, unnamed_request}};
static int (*listener[5])(void *) = {0, pushed};

int load(void *pool);
int load(void *pool)
{
    ast_sched_add(pool, 10, expired, 0);
    ast_sched_add(pool, 10, twice, 0);
    ast_manager_register2("Status", 1, action_status, 0, "synopsis", "description");
    ast_manager_register2("Again", 1, twice, 0, "synopsis", "description");
    ast_channel_register(&tech);
    pjsip_endpt_register_module(pool, &stack);
    pjsip_endpt_register_module(pool, &other);
    ast_taskprocessor_listener_alloc(&listener, pool);
    __ast_taskprocessor_push(pool, task, pool, FILE_LINE_FUNCTION);
    return take(taken);
}

static __attribute__((noipa)) int begin(void *pool) { return pthread_create(pool, 0, run, pool); }
int start(void *pool);
int start(void *pool) { return begin(pool) + begin(0); }
"""


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """The role of each function, by its name."""
    path = build(tmp_path_factory.mktemp("roles"), SOURCE, "-shared", "-fPIC", "-O2")
    image = image_of(path)
    found = Roles(image, CodeReferences(image))
    return {name: found.role(start) for name, start in symbols_of(path).items()}


@pytest.mark.parametrize(
    ("function", "role"),
    [
        ("expired", "callback@load"),  # the exported function that passes it
        ("action_status", "action@Status"),  # the text that is passed beside it
        ("task", "task_exe@creator"),  # the name of the caller that is passed beside it
        ("run", "start_routine@pthread_create"),  # by a function without a name
        ("sip_requester", "requester@SIP"),  # the table's own name
        ("sip_devicestate", "devicestate@SIP"),
        ("on_request", "on_rx_request@mod-stack"),
        ("unnamed_request", "on_rx_request@load"),  # a name that is none
        ("pushed", "task_pushed@load"),  # a table without a name
        ("twice", "action@Again"),  # the first one in the alphabet
        ("taken", None),  # by a function that is not known
        ("load", None),
    ],
)
def test_role_is_what_the_function_is_handed_over_as(
    roles: dict[str, str | None], function: str, role: str | None
) -> None:
    assert roles[function] == role


def test_file_that_hands_nothing_over_has_no_roles(tmp_path: Path) -> None:
    source = "static int f(void) { return 1; } int (*volatile table)(void) = f;"
    path = build(tmp_path, source, "-shared", "-fPIC", "-O2")
    image = image_of(path)
    assert Roles(image, CodeReferences(image)).role(symbols_of(path)["f"]) is None
