"""SIP traffic to one instance, by sipp, on the loopback address only."""

import csv
import io
import math
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import process, root
from lab.configuration import traffic_users
from lab.errors import LabError
from lab.instance import Instance

SCENARIOS = Path(__file__).parent / "scenarios"
KINDS = ("register", "options", "calls")
RATE_MAX = 5000
COUNT_MAX = 1_000_000
AT_ONCE_MAX = 50_000
# How long calls may take after the last one began: retransmissions of an overloaded Asterisk.
GRACE_SECONDS = 40
SECONDS_MAX = 1800
ENDING_SECONDS = 3
# sipp(1), EXIT STATUS: fatal errors; a call that failed or a run that was ended is none.
FATAL = range(253, 256)


@dataclass(frozen=True, slots=True)
class Summary:
    """What sipp counted over the whole run.

    response_ms is the mean time from request to 200, which sipp measures in whole milliseconds:
    0 is less than one.
    """

    kind: str
    instance: str
    asked: int
    successful: int
    failed: int
    retransmissions: int
    rate_hz: float
    duration_s: float
    response_ms: float

    @property
    def complete(self) -> bool:
        """Return whether every call that was asked for succeeded."""
        return self.successful == self.asked and self.failed == 0

    def as_dict(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)


def parse_clock(text: str) -> float:
    """Return the seconds in a duration of sipp's, HH:MM:SS:micros."""
    hours, minutes, seconds, micros = (int(part) for part in text.split(":"))
    return hours * 3600 + minutes * 60 + seconds + micros / 1e6


def parse_moment(text: str) -> float:
    """Return the seconds since the epoch in a time stamp of sipp: DATE, TIME, EPOCH by tabs."""
    return float(text.split("\t")[2])


def parse_statistics(text: str, kind: str, instance: str, asked: int) -> Summary:
    """Return the last line of a sipp statistics file (-trace_stat) as a summary."""
    rows = [row for row in csv.DictReader(io.StringIO(text), delimiter=";") if row]
    if not rows:
        raise LabError("sipp wrote no statistics")
    last = rows[-1]
    try:
        return Summary(
            kind=kind,
            instance=instance,
            asked=asked,
            successful=int(last["SuccessfulCall(C)"]),
            failed=int(last["FailedCall(C)"]),
            retransmissions=int(last["Retransmissions(C)"]),
            rate_hz=float(last["CallRate(C)"]),
            duration_s=round(
                parse_moment(last["CurrentTime"]) - parse_moment(last["StartTime"]), 3
            ),
            response_ms=parse_clock(last["ResponseTimeanswer(C)"]) * 1000,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LabError(f"sipp's statistics cannot be read: {error!r}") from error


def free_ports() -> tuple[int, int]:
    """Return two UDP ports of the loopback address that nobody had a moment ago.

    The first is for SIP; sipp takes the second and the third and fourth after it for media.
    """
    for _ in range(100):
        with ExitStack() as stack:
            signalling = bind(stack, 0)
            media = bind(stack, 0)
            if (
                media
                and signalling
                and media < 65532
                and all(bind(stack, media + n) for n in (2, 3))
            ):
                return signalling, media
    raise LabError("no free UDP ports on the loopback address")


def bind(stack: ExitStack, port: int) -> int | None:
    """Bind a UDP port (0: any) until the stack ends and return it, None if somebody has it."""
    probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return None
    return int(probe.getsockname()[1])


def time_limit(rate: float, count: int) -> int:
    """Return after how many seconds sipp gives up."""
    return min(SECONDS_MAX, math.ceil(count / rate) + GRACE_SECONDS)


def prefix() -> tuple[list[str], Path]:
    """Return how to start sipp (the host's, else the lab's own), and the root that it sees."""
    if shutil.which("sipp"):
        return ["sipp"], Path("/")
    tree = root.ensure("sipp")
    return ["chroot", str(tree), "/usr/bin/sipp"], tree


def arguments(place: str, port: int, rate: float, count: int, at_once: int) -> list[str]:
    """Return sipp's arguments; place is the directory of its files as sipp sees it."""
    signalling, media = free_ports()
    return [
        "-sf", f"{place}/scenario.xml",
        "-inf", f"{place}/users.csv",
        "-i", "127.0.0.1",
        "-p", str(signalling),
        "-mi", "127.0.0.1",
        "-mp", str(media),
        "-r", str(rate),
        "-m", str(count),
        "-l", str(at_once),
        "-nostdin",
        "-watchdog_interval", "0",  # it ends the traffic where a busy machine lets it wait
        "-trace_stat", "-stf", f"{place}/statistics.csv", "-fd", "1",
        "-trace_err", "-error_file", f"{place}/errors",
        f"127.0.0.1:{port}",
    ]  # fmt: skip


def run(
    kind: str,
    instance: Instance,
    rate: float,
    count: int,
    seconds: float | None = None,
    at_once: int = AT_ONCE_MAX,
) -> Summary:
    """Send count requests or calls of a kind at rate per second and wait for the end.

    seconds is when to give up, by default long after the last one could have been answered.
    at_once is how many may wait for their answer: the next ones are sent as soon as fewer do.
    """
    if kind not in KINDS:
        raise LabError(f"no traffic of kind {kind!r}", f"one of {', '.join(KINDS)}")
    if not 0 < rate <= RATE_MAX or not 0 < count <= COUNT_MAX:
        raise LabError("rate or count out of bounds", f"at most {RATE_MAX} and {COUNT_MAX}")
    if not 0 < at_once <= AT_ONCE_MAX:
        raise LabError("so many cannot wait for an answer", f"at most {AT_ONCE_MAX}")
    users = traffic_users(instance.options.version, instance.options.endpoints or 0)
    if not users:
        raise LabError(f"{instance.name} has no endpoints", "lab up 22 --endpoints 100")
    limit = time_limit(rate, count) if seconds is None else seconds
    command, tree = prefix()
    place = Path(tempfile.mkdtemp(prefix="lab-sipp-", dir=tree / "tmp"))
    try:
        shutil.copy(SCENARIOS / f"{kind}.xml", place / "scenario.xml")
        (place / "users.csv").write_text("SEQUENTIAL\n" + "".join(f"{u};\n" for u in users))
        inside = "/" + str(place.relative_to(tree))
        command += arguments(inside, instance.sip_port, rate, count, at_once)
        code, output = execute(command, limit)
        statistics = place / "statistics.csv"
        if code in FATAL or not statistics.exists():
            raise LabError(f"sipp failed: {output.strip()[-300:]}")
        return parse_statistics(statistics.read_text(), kind, instance.name, count)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def execute(command: list[str], seconds: float) -> tuple[int, str]:
    """Run sipp and return its exit status and what it said; end it when the time is over.

    It writes its statistics every second, so that what it counted until then is not lost.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={"TERM": "dumb", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    ) as sipp:
        try:
            said = sipp.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            # It begins no new call and ends with the last one, which may take it half a minute.
            process.send([sipp.pid], signal.SIGUSR1)
            said = end(sipp)
        finally:
            sipp.kill()
    return sipp.returncode, said


def end(sipp: subprocess.Popen[str]) -> str:
    """Return what sipp says until it ends; kill it when it does not."""
    try:
        return sipp.communicate(timeout=ENDING_SECONDS)[1]
    except subprocess.TimeoutExpired:
        sipp.kill()
        return sipp.communicate()[1]
