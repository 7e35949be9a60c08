"""Builds a small program that passes for an Asterisk, and runs copies of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests import compiled

SOURCE = r"""
#include <unistd.h>
void *__ao2_find(void *self, const void *arg, int flags) { return self; }
void *ast_taskprocessor_get(const char *name, int create) { return 0; }
const char *ast_get_version(void) { return "16.28.0~test-1"; }
const char *ast_get_build_opts(void) { return "AO2_DEBUG, DEBUG_THREADS"; }
int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == 'F' && fork() == 0) { for (;;) pause(); }
    write(1, "ready\n", 6);
    for (;;) pause();
}
"""


def build(folder: Path, name: str = "asterisk", *flags: str, source: str = SOURCE) -> Path:
    """Compile the program into `folder` and return it."""
    return compiled.build(folder, source, *(flags or ("-O2",)), "-rdynamic").rename(folder / name)


def start(*command: str | Path) -> subprocess.Popen[bytes]:
    """Start it and return when it has reached main()."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process
