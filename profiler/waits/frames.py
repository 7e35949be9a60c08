"""Names the frames of threads that wait; each address is looked at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from profiler.asterisk.caller_signatures import CALLER_SIGNATURES
from profiler.asterisk.container_calls import SourcePlace
from profiler.model.frame_names import (
    file_name,
    frame_label,
    is_c_library,
    role_label,
    says_role,
)
from profiler.model.recording import Frame
from profiler.model.waits import WaitFrame
from profiler.names.session import NamingSession
from profiler.waits.futexes import LOCK_WRAPPERS, plain_name

_MOST_LEADING = 12  # frames of the C library that a wait is below
_MOST_CONTAINER_FRAMES = 6  # of a container's own code
_VARIABLES = {"__ast_pthread_mutex_lock": 3, "__ao2_lock": 5, "__ast_rwlock_rdlock": 4}
_VARIABLES |= {"__ast_rwlock_wrlock": 4}


def is_musl(path: str) -> bool:
    """Return whether a file is musl, whose loader and library are one file."""
    return file_name(path) == "libc.so" or file_name(path).startswith("ld-musl")


class Frames:
    """What is known of addresses of one target."""

    def __init__(self, session: NamingSession) -> None:
        self._session = session
        self._known: dict[int, tuple[Frame, WaitFrame]] = {}
        self._paths: tuple[str, ...] = ()
        self._callees: dict[int, str | None] = {}
        self._calls: dict[int, tuple[str | None, str | None]] = {}

    def name(self, addresses: Iterable[int]) -> None:
        """Name what is new."""
        new = sorted(set(addresses) - self._known.keys())
        if not new:
            return
        frames = self._session.frames(new)
        self._paths = tuple(file.path for file in self._session.files())
        for frame in frames:
            self._known[frame.address] = frame, self._described(frame)

    def _path(self, frame: Frame) -> str | None:
        return None if frame.file is None else self._paths[frame.file]

    def _described(self, frame: Frame) -> WaitFrame:
        path = self._path(frame)
        return WaitFrame(
            name=frame_label(frame, path),
            module=None if path is None else file_name(path),
            offset=frame.offset,
            address=frame.address,
            function_offset=frame.function_offset,
        )

    def stack(self, addresses: Sequence[int]) -> tuple[WaitFrame, ...]:
        """Return frames that were named before, in the same order."""
        return tuple(self._known[address][1] for address in addresses)

    def role(self, addresses: Sequence[int]) -> str | None:
        """Return what a thread with this whole stack was started to run."""
        for address in reversed(addresses):
            frame = self._known[address][0]
            if says_role(frame, self._path(frame)):
                return role_label(frame, self._path(frame))
        return None

    def leading_names(self, addresses: Sequence[int]) -> list[str]:
        """Return the functions of glibc that a thread is in, leaf first, and who called them.

        () where it is in none: other C libraries make other locks.
        """
        names: list[str] = []
        for address in addresses[:_MOST_LEADING]:
            is_inside = self.in_c_library(address)
            if not names and not is_inside:
                break
            names.append(self._known[address][0].symbol or "")
            if not is_inside:
                break
        return names

    def called(self, addresses: Sequence[int]) -> str | None:
        """Return by which name the C library was called that a thread is in, None if not known.

        What was called may have jumped on to a function without a name, as sem_wait() does.
        """
        own = [address for address in addresses if not self.in_c_library(address)]
        if not own or own[0] == addresses[0]:
            return None
        if own[0] not in self._callees:
            found = self._session.calls_at(own[0])
            call = found[0].before(found[1] + 1) if found is not None else None
            self._callees[own[0]] = None if call is None else call.callee
        return self._callees[own[0]]

    def in_c_library(self, address: int) -> bool:
        """Return whether an address is in glibc."""
        path = self._path(self._known[address][0])
        return path is not None and is_c_library(path) and not is_musl(path)

    def lock_call(self, addresses: Sequence[int]) -> int | None:
        """Return the index of the frame that wants the lock that a thread waits for."""
        own = [n for n, address in enumerate(addresses) if not self.in_c_library(address)]
        at = own[0] if own else len(addresses)
        names = [self._known[address][0].symbol or "" for address in addresses]
        while at < len(addresses) and plain_name(names[at]) in LOCK_WRAPPERS:
            at += 1
        return at if at < len(addresses) else None

    def wanted(self, addresses: Sequence[int]) -> tuple[int, str | None, str | None] | None:
        """Return which frame wants the lock that a thread waits for, from where in the source, and
        what that calls it. Where a container's own code wants it, who called the container does.
        """
        at = self.lock_call(addresses)
        if at is None:
            return None
        source, variable = self.call(addresses, at)
        for outer in range(at + 1, min(at + 1 + _MOST_CONTAINER_FRAMES, len(addresses))):
            if not SourcePlace(source, None, None).is_in_containers:
                break
            called_from = self.call(addresses, outer)[0]
            if called_from is not None:
                at, source = outer, called_from
        return at, source, variable

    def call(self, addresses: Sequence[int], at: int) -> tuple[str | None, str | None]:
        """Return where a frame asks for a lock, "channel.c:1234", and how its source calls that."""
        address = addresses[at]
        if address not in self._calls:
            self._calls[address] = self._find_call(address) if at else (None, None)
        return self._calls[address]

    def _find_call(self, address: int) -> tuple[str | None, str | None]:
        found = self._session.calls_at(address)
        call = found[0].before(found[1] + 1) if found is not None else None
        if found is None or call is None or call.callee not in CALLER_SIGNATURES:
            return None, None
        place = found[0].place(call)
        position = _VARIABLES.get(call.callee)
        variable = None if position is None else found[0].text(call, position)
        if place.file is None:
            return None, variable
        name = file_name(place.file)
        return name if place.line is None else f"{name}:{place.line}", variable
