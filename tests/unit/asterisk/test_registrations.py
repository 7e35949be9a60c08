"""Offsets of members, as the compiler lays out structures of the same members."""

from __future__ import annotations

import subprocess
from pathlib import Path

from profiler.asterisk.registrations import CALLBACKS, TABLES

# The members of include/asterisk/*.h and pjsip/sip_module.h, up to those that are of interest.
SOURCE = """
#include <stddef.h>
#include <stdio.h>
typedef void (*call)(void);
struct pjsip_module { void *prev, *next; struct { char *ptr; long slen; } name; int id, priority;
    call load, start, stop, unload, on_rx_request; };
struct ast_channel_tech { const char *type, *description; void *capabilities; int properties;
    call requester, requester_with_stream_topology, devicestate; };
struct ast_rtp_engine { const char *name; void *mod; call new, destroy, write; };
int main(void)
{
    printf("%zu %zu %zu %zu", offsetof(struct pjsip_module, on_rx_request),
        offsetof(struct pjsip_module, name.ptr), offsetof(struct ast_channel_tech, devicestate),
        offsetof(struct ast_rtp_engine, write));
}
"""


def test_members_are_where_the_compiler_puts_them(tmp_path: Path) -> None:
    (tmp_path / "offsets.c").write_text(SOURCE)
    subprocess.run(["gcc", "-o", tmp_path / "offsets", tmp_path / "offsets.c"], check=True)
    printed = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True)
    request, name, devicestate, write = map(int, printed.stdout.split())
    module = TABLES["pjsip_endpt_register_module"]
    assert module.members[request] == "on_rx_request"
    assert module.name_offset == name
    assert TABLES["ast_channel_register"].members[devicestate] == "devicestate"
    assert TABLES["ast_rtp_engine_register2"].members[write] == "write"


def test_callbacks_of_functions_that_get_the_callers_name_are_shown_with_it() -> None:
    assert CALLBACKS["__ast_taskprocessor_push"].positions == (1, 5)
    assert CALLBACKS["ast_taskprocessor_push"].positions == (1,)
