from __future__ import annotations

import io

from profiler.doctor.checks import Check
from profiler.doctor.text import render
from profiler.errors import PrivilegeError


def test_rendering_in_80_columns() -> None:
    out = io.StringIO()
    found = (
        Check("machine", "ok", "Linux 6.1.0 on x86_64"),
        Check("BTF", "warning", "none"),
        Check(
            "privileges",
            "failed",
            "root without CAP_BPF, CAP_PERFMON: a container or a service took them away",
            "docker run --privileged --pid=host ..., or run it on the host",
            PrivilegeError,
        ),
    )
    render(found, out)
    assert out.getvalue() == (
        "ok       machine          Linux 6.1.0 on x86_64\n"
        "warning  BTF              none\n"
        "failed   privileges       root without CAP_BPF, CAP_PERFMON: a container or a\n"
        "                          service took them away\n"
        "                          -> docker run --privileged --pid=host ..., or run it\n"
        "                             on the host\n"
        "3 checks: 1 failed, 1 with a warning\n"
    )
