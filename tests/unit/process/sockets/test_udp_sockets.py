from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from profiler.model.recording import Socket
from profiler.process.sockets import sock_diag, udp_sockets
from profiler.process.sockets.open_sockets import OpenSockets
from profiler.process.sockets.sock_diag import SocketState
from profiler.process.sockets.udp_sockets import SocketHistory, UdpSockets, worst


def overflow(receiver: socket.socket, datagrams: int) -> None:
    sender = socket.socket(receiver.family, socket.SOCK_DGRAM)
    for _ in range(datagrams):
        sender.sendto(b"x" * 500, receiver.getsockname()[:2])
    sender.close()


def bound(family: int, address: str) -> tuple[socket.socket, str]:
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    receiver.bind((address, 0))
    name = f"[{address}]" if family == socket.AF_INET6 else address
    return receiver, f"{name}:{receiver.getsockname()[1]}"


def proc_row(receiver: socket.socket) -> tuple[int, int]:
    """Return queue and drops by /proc/net/udp or udp6."""
    name = "udp6" if receiver.family == socket.AF_INET6 else "udp"
    inode = str(os.fstat(receiver.fileno()).st_ino)
    for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] == inode:
            return int(fields[4].split(":")[1], 16), int(fields[12])
    raise AssertionError(inode)


@pytest.fixture(params=["sock_diag", "proc"])
def own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[UdpSockets]:
    if request.param == "proc":

        def refuse(path: str) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(sock_diag, "open_in_namespace", refuse)
    udp = UdpSockets(os.getpid())
    assert (udp.warning is None) == (request.param == "sock_diag")
    yield udp
    udp.close()


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")],
)
def test_queue_and_drops_of_an_overflowed_socket(
    own: UdpSockets, family: int, address: str
) -> None:
    receiver, local = bound(family, address)
    overflow(receiver, 50)  # before the window
    _, drops_before = proc_row(receiver)
    own.sample()
    overflow(receiver, 31)
    own.sample()
    queue, drops = proc_row(receiver)
    receiver.setblocking(False)
    while True:
        try:
            receiver.recv(2000)
        except BlockingIOError:
            break
    own.sample()
    (found,) = (s for s in own.recorded() if s.local == local)
    receiver.close()

    assert drops_before > 0
    assert queue > 0
    assert found == Socket(local, queue, queue * 2 / 3, 31)
    assert drops - drops_before == 31


def test_a_socket_of_the_window_counts_from_zero_and_stays_after_it_closed(
    own: UdpSockets,
) -> None:
    own.sample()
    receiver, local = bound(socket.AF_INET, "127.0.0.1")
    overflow(receiver, 40)
    _, drops = proc_row(receiver)
    own.sample()
    receiver.close()
    own.sample()

    (found,) = (s for s in own.recorded() if s.local == local)
    assert found.drops == drops > 0
    assert found.receive_queue_bytes_mean == found.receive_queue_bytes_max > 0


def test_the_longest_queue_now_and_all_drops_up_to_now(own: UdpSockets) -> None:
    receivers = [bound(socket.AF_INET, "127.0.0.1")[0] for _ in range(2)]
    own.sample()
    assert (own.queue_bytes, own.drops) == (0, 0)
    for receiver, datagrams in zip(receivers, (1, 40), strict=True):
        overflow(receiver, datagrams)
    own.sample()
    (_, _), (queue, drops) = map(proc_row, receivers)
    assert (own.queue_bytes, own.drops) == (queue, drops)
    assert queue > 0 < drops
    for receiver in receivers:
        receiver.close()
    for _ in range(udp_sockets._UNSEEN_SAMPLES + 2):  # until it is known that they closed
        own.sample()
        assert (own.queue_bytes, own.drops) == (0, drops)


SERVER = """
import os, socket, sys
if sys.argv[1] == "new":
    import ctypes
    assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
    os.system("ip link set lo up")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
u.bind(("127.0.0.1", 0))
print(u.getsockname()[1], flush=True)
for line in sys.stdin:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(int(line)): sender.sendto(b"x" * 500, u.getsockname())
    sender.close()
    print("done", flush=True)
"""


@pytest.fixture
def server() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def run(namespace: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SERVER, namespace]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.root
@pytest.mark.parametrize("namespace", ["same", "new"])
@pytest.mark.parametrize("source", ["sock_diag", "proc"])
def test_only_sockets_of_the_target_in_its_own_namespace(
    server: Callable[[str], subprocess.Popen[str]],
    namespace: str,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_namespace = Path("/proc/self/ns/net").readlink()
    receiver, _ = bound(socket.AF_INET, "127.0.0.1")  # ours, not the target's
    process = server(namespace)
    assert process.stdin is not None
    assert process.stdout is not None
    local = f"127.0.0.1:{int(process.stdout.readline())}"
    if source == "proc":
        monkeypatch.setattr(sock_diag, "_NETLINK_SOCK_DIAG", 31)  # no such protocol
    udp = UdpSockets(process.pid)
    udp.sample()
    process.stdin.write("60\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    udp.sample()
    found = udp.recorded()
    udp.close()
    receiver.close()

    assert (udp.warning is None) == (source == "sock_diag")
    assert [s.local for s in found] == [local]
    assert found[0].receive_queue_bytes_max > 0
    assert 0 < found[0].drops < 60
    assert Path("/proc/self/ns/net").readlink() == own_namespace
    assert threading.active_count() == 1


def test_of_more_sockets_than_are_listed_it_is_said_how_many_there_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(udp_sockets, "LISTED_SOCKETS", 2)
    open_ones = [bound(socket.AF_INET, "127.0.0.1")[0] for _ in range(2)]
    udp = UdpSockets(os.getpid())
    udp.sample()
    assert len(udp.recorded()) == 2
    assert udp.warning is None
    open_ones.append(bound(socket.AF_INET, "127.0.0.1")[0])
    udp.sample()
    assert len(udp.recorded()) == 2
    assert udp.warning == (
        "of 3 UDP sockets only the 2 with most drops and longest queues are listed"
    )
    udp.close()
    for receiver in open_ones:
        receiver.close()


def test_a_target_that_is_gone_has_no_sockets() -> None:
    udp = UdpSockets(2**22 + 1)
    udp.sample()
    assert udp.warning is not None
    assert udp.recorded() == ()


def test_worst_sockets_first_and_a_counter_that_wrapped() -> None:
    def history(local: str, drops_before: int, drops: int, longest: int) -> SocketHistory:
        made = SocketHistory(0, drops_before, 0)
        made.add(SocketState(1, 0, local, longest, drops), 1)
        made.add(SocketState(1, 0, local, longest, drops), 2)
        return made

    histories = [
        history("a:1", 5, 5, 10),
        history("b:2", 2**32 - 1, 2, 0),
        history("c:3", 1, 1, 20),
    ]
    assert [found.recorded() for found in worst(histories)] == [
        Socket("b:2", 0, 0.0, 3),
        Socket("c:3", 20, 20.0, 0),
        Socket("a:1", 10, 10.0, 0),
    ]


class Calls:
    """A target of which a test says what sockets there are, and which descriptors it has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.states: list[SocketState] = []
        self._folder = tmp_path / "7" / "fd"
        self._folder.mkdir(parents=True)

        def opened(pid: int) -> OpenSockets:
            return OpenSockets(pid, tmp_path)

        monkeypatch.setattr(udp_sockets, "SocketDiag", lambda _path: self)
        monkeypatch.setattr(udp_sockets, "OpenSockets", opened)
        self.sockets = UdpSockets(7)

    def query(self) -> list[SocketState]:
        return self.states

    def close(self) -> None:
        pass

    def has(self, descriptor: int, inode: int) -> None:
        (self._folder / str(descriptor)).symlink_to(f"socket:[{inode}]")

    def queues(self, *queues: tuple[int, int, int]) -> None:
        """Set what there is: key (also the inode), queue and drops of each socket."""
        self.states = [SocketState(key, key, f"a:{key}", *state) for key, *state in queues]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Calls]:
    made = Calls(monkeypatch, tmp_path)
    yield made
    made.sockets.close()


def test_what_a_socket_did_until_it_was_known_is_not_lost(calls: Calls) -> None:
    calls.sockets.sample()
    for descriptor in range(20):
        calls.has(descriptor, 100 + descriptor)
    calls.queues((103, 8, 5), (50, 9, 9))
    for _ in range(30):
        calls.sockets.sample(1)
    calls.queues((103, 0, 7), (50, 9, 9))
    for _ in range(30):
        calls.sockets.sample(1)
    assert calls.sockets.recorded() == (Socket("a:103", 8, 4.0, 7),)
    assert calls.sockets.warning is None


def test_drops_of_a_socket_that_closed_unknown_are_said(calls: Calls) -> None:
    for descriptor in range(20):
        calls.has(descriptor, 100 + descriptor)
    calls.sockets.sample()
    calls.queues((77, 0, 5))
    calls.sockets.sample(1)
    calls.queues()
    for _ in range(5):
        calls.sockets.sample(1)
    assert calls.sockets.recorded() == ()
    assert calls.sockets.warning == (
        "5 datagrams were dropped by UDP sockets that closed before it was known whether they are "
        "the target's"
    )


def test_sockets_that_opened_behind_the_round_are_met_by_the_next(calls: Calls) -> None:
    calls.sockets.sample()
    for descriptor in range(20):
        calls.has(descriptor, 100 + descriptor)
    calls.queues((50, 0, 1))
    calls.sockets.sample(10)
    calls.queues((50, 0, 1), *((100 + descriptor, 0, 3) for descriptor in range(20)))
    for _ in range(5):
        calls.sockets.sample(11)
    assert len(calls.sockets.recorded()) == 20
    assert calls.sockets.warning is None


def test_a_last_look_at_all_descriptors_tells_whose_the_newest_are(calls: Calls) -> None:
    for descriptor in range(20):
        calls.has(descriptor, 100 + descriptor)
    calls.sockets.sample()
    calls.queues((50, 0, 1))
    calls.sockets.sample(1)
    calls.queues((50, 0, 1), (51, 0, 5), (119, 0, 3))
    calls.sockets.sample()
    assert calls.sockets.recorded() == (Socket("a:119", 0, 0.0, 3),)
    assert calls.sockets.warning is None


def test_a_socket_that_was_missing_in_one_answer_goes_on(calls: Calls) -> None:
    calls.has(1, 5)
    for queue, drops in ((2, 3), (4, 4)):
        calls.queues((5, queue, drops))
        calls.sockets.sample()
        calls.queues()
        calls.sockets.sample()
    assert calls.sockets.recorded() == (Socket("a:5", 4, 3.0, 1),)


def test_of_many_that_closed_the_worst_are_kept(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp_sockets, "LISTED_SOCKETS", 2)
    monkeypatch.setattr(udp_sockets, "_MOST_CLOSED", 3)
    calls.sockets.sample()
    for key in range(1, 20):
        calls.has(key, key)
        calls.queues((key, 0, key % 7))
        calls.sockets.sample()
    assert [found.local for found in calls.sockets.recorded()] == ["a:13", "a:6"]
    assert len(calls.sockets._closed) <= 3
    assert calls.sockets.warning == (
        "of 19 UDP sockets only the 2 with most drops and longest queues are listed"
    )
