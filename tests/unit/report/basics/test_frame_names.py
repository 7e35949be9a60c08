from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.recording import Frame
from profiler.report.basics.frame_names import frame_name, frame_names
from tests.examples import recording


def test_frames_are_called_by_symbol_by_place_or_unknown() -> None:
    assert frame_names(recording()) == (
        "asterisk+0x1c3a40",
        "__ao2_find",
        "do_syscall_64",
        "[unknown 0x1234]",
    )


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (Frame(0x5000, 0, 0x5678, None, None, None), "asterisk+0x5678"),
        (Frame(0x5000, 0, 0x5678, 0, None, None), "asterisk+0x0"),
        (Frame(0x5000, 1, None, None, None, None), "[kernel]"),
        (Frame(0x5000, 0, 0x5678, 0x5600, "", None), "asterisk+0x5600"),
        (Frame(0x5000, 0, 0x5678, 0x5600, "n" * 513, None), "n" * 512),
    ],
)
def test_a_name_is_never_empty_nor_long(frame: Frame, name: str) -> None:
    assert frame_name(recording(), frame) == name


def test_long_file_names_are_cut_before_the_place() -> None:
    made = recording()
    made = replace(made, files=(replace(made.files[0], path="/lib/" + "f" * 600),))
    assert frame_name(made, Frame(1, 0, 0x10, None, None, None)) == "f" * 512 + "+0x10"
