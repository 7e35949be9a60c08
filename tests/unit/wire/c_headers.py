"""The headers that the kernel's side is compiled with, as the C compiler understands them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from profiler.linux.bcc import bpf_directory

HEADERS = (
    *("wire.h", "unwind_wire.h", "cpu_wire.h"),
    *("exits_wire.h", "births_wire.h", "present_threads_wire.h"),
    *("offcpu_wire.h", "tasks_wire.h", "leaks_wire.h", "links_wire.h"),
)
_TEXTS = ((bpf_directory() / name).read_text() for name in HEADERS)
_WITHOUT_COMMENTS = re.sub(r"/\*.*?\*/", "", "\n".join(_TEXTS), flags=re.DOTALL)
_PRELUDE = "\n".join(
    (
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>",
        "typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;",
        "typedef int32_t s32; typedef int64_t s64;",
        *(f'#include "{name}"' for name in HEADERS),
    )
)


def _bodies(kind: str) -> dict[str, str]:
    return dict(re.findall(rf"{kind} (\w+) \{{(.*?)\}};", _WITHOUT_COMMENTS, re.DOTALL))


# Of each struct, its members: name and whether it is an array.
STRUCTS = {
    name: tuple(re.findall(r"(\w+)(\[\w+\])?(?=[,;])", body))
    for name, body in _bodies("struct").items()
}
ENUMS = {
    name: tuple(re.findall(r"^\s*([A-Z]\w+)\b", body.replace(",", "\n"), re.MULTILINE))
    for name, body in _bodies("enum").items()
}


def evaluate(expressions: Iterable[str], definitions: str = "") -> list[int]:
    """Return the values of C expressions that use the headers' names."""
    values = ",\n".join(f"(long long)({expression})" for expression in expressions)
    text = (
        f"{_PRELUDE}\n{definitions}\nint main(void) {{ long long values[] = {{ {values} }};"
        "for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)"
        'printf("%lld\\n", values[i]); return 0; }'
    )
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "values.c", Path(folder) / "values"
        source.write_text(text)
        command = [
            "gcc",
            "-Wall",
            "-Werror",
            f"-I{bpf_directory()}",
            str(source),
            "-o",
            str(program),
        ]
        subprocess.run(command, check=True)
        output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [int(line) for line in output.splitlines()]
