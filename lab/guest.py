"""Runs a command under another kernel: in a guest of qemu that sees this machine's files.

The guest is emulated, so it runs on every machine, some ten times slower. Its root is the host's
file system, read-only, with what it writes kept in its memory.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import kernels
from lab.errors import LabError

INIT = Path(__file__).with_name("guest_init.sh")
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
}
MEMORY_MB = 2048
LARGE_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command in a guest came to."""

    code: int
    output: str


class UnfinishedError(LabError):
    """The command did not end, or the guest ended before it; output is what it said so far."""

    def __init__(self, message: str, results: Path) -> None:
        super().__init__(message, _end(results))
        output = results / "output"
        self.output = output.read_text(errors="replace") if output.exists() else ""


def parse_clock_khz(cpuinfo: str) -> int | None:
    """Return the frequency of the host's clock counter, which the guest's one ticks with."""
    found = re.search(r"^cpu MHz\s*: ([0-9.]+)$", cpuinfo, re.MULTILINE)
    return round(float(found[1]) * 1000) if found else None


def kernel_line() -> str:
    """Return the guest's kernel command line."""
    words = ["console=ttyS0", "quiet", "panic=-1", "mitigations=off", "random.trust_cpu=on"]
    clock_khz = parse_clock_khz(Path("/proc/cpuinfo").read_text())
    if clock_khz is not None:  # an emulated machine cannot measure it
        words += ["tsc=reliable", f"tsc_early_khz={clock_khz}"]
    return " ".join(words)


def build_initramfs(kernel: Path, folder: Path) -> Path:
    """Pack the first process, busybox and the kernel's modules."""
    tree = folder / "initramfs"
    shutil.copytree(kernel, tree / "modules", ignore=shutil.ignore_patterns(kernels.IMAGE))
    (tree / "bin").mkdir()
    shutil.copy2(_find("busybox"), tree / "bin/busybox")
    shutil.copy2(INIT, tree / "init")
    (tree / "init").chmod(0o755)
    (tree / "libraries").write_text("".join(f"{path}\n" for path in compiler_libraries()))
    archive = folder / "initramfs.cpio"
    names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
    command = [_find("cpio"), "-o", "-H", "newc", "--quiet", "-D", str(tree), "-O", str(archive)]
    subprocess.run(command, input=names, text=True, check=True)
    return archive


def compiler_libraries() -> tuple[Path, ...]:
    """Return the large files that BCC's library links."""
    here = [str(path) for path in Path("/usr/lib").glob("*/libbcc.so.0")]
    listed = subprocess.run(["ldd", *here], capture_output=True, text=True, check=False).stdout
    paths = (Path(path).resolve() for path in re.findall(r"=> (/\S+)", listed))
    return tuple(path for path in paths if path.stat().st_size > LARGE_BYTES)


def _find(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise LabError(f"{program} is not installed", f"apt-get install {PROGRAMS[program]}")
    return path


def _machine(kernel: Path, initramfs: Path, results: Path) -> list[str | Path]:
    return [
        _find("qemu-system-x86_64"),
        # One CPU: emulated ones wait for each other, for most of their time on a busy host.
        *("-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1"),
        *("-m", str(MEMORY_MB), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-no-reboot", "-serial", f"file:{results / 'console'}"),
        *("-kernel", kernel / kernels.IMAGE, "-initrd", initramfs, "-append", kernel_line()),
        *_share("host", Path("/"), ",readonly=on,multidevs=remap"),
        *_share("results", results, ""),
    ]


def _share(name: str, path: Path, options: str) -> list[str]:
    return [
        *("-fsdev", f"local,id={name},path={path},security_model=none{options}"),
        *("-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}"),
    ]


def run(kernel: str, command: Sequence[str], seconds: float = 300) -> Ran:
    """Boot a kernel, run a command in the current directory, and return what it came to."""
    directory = kernels.ensure(kernel)
    with tempfile.TemporaryDirectory(prefix="ebpf-prof-guest-") as temporary:
        folder = Path(temporary)
        results = folder / "results"
        results.mkdir()
        home = shlex.quote(str(Path.cwd()))
        (results / "command").write_text(f"cd {home} && exec {shlex.join(command)}\n")
        machine = _machine(directory, build_initramfs(directory, folder), results)
        try:
            subprocess.run(machine, stdin=subprocess.DEVNULL, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise UnfinishedError(f"the guest was not done in {seconds:.0f} s", results) from None
        return _read(results)


def _read(results: Path) -> Ran:
    if not (results / "code").exists():
        raise UnfinishedError("the guest ended before its command did", results)
    output = (results / "output").read_text(errors="replace")
    return Ran(int((results / "code").read_text()), output)


def _end(results: Path) -> str:
    """Return the last that the guest said."""
    files = [path for path in (results / "console", results / "output") if path.exists()]
    return "\n".join(path.read_text(errors="replace")[-1000:] for path in files)
