#!/bin/bash
# Prepares a Debian 12 machine (or a newer Debian) for ebpf-prof and its lab, from a checkout:
#   lab/provision.sh run     what profiling and the lab need
#   lab/provision.sh test    and what the tests need
#   lab/provision.sh vm      and Asterisk 16 and 22 unpacked, ebpf-prof and the lab on the PATH
# Needs root. Says what it installs before it does. Does nothing that is done already; starts nothing.
set -euo pipefail

purpose=${1:-run}
case $purpose in run | test | vm) ;; *)
    echo "usage: $0 run|test|vm" >&2
    exit 2
    ;;
esac
if [ "$(id -u)" != 0 ]; then
    echo "$0 needs root: sudo $0 $purpose" >&2
    exit 1
fi
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

# gcc, libc6-dev: the ground-truth module. debian-archive-keyring: the packages' signatures.
# sip-tester is left out: the lab unpacks sipp itself.
packages=(python3 python3-venv python3-bpfcc gcc libc6-dev make debian-archive-keyring ca-certificates)
if [ "$purpose" = test ]; then
    # gdb and linux-perf: second opinions on stacks. bpftool: that no program is left behind.
    # chromium, its driver and npm: the pages and pictures are opened in a browser.
    # qemu, busybox, cpio, zstd: guests with other kernels.
    # fish, zsh, man-db: completion, and the man page.
    # musl-tools: a C library without call frame information. clang: its stacks.
    # bpfcc-tools, bpftrace: what bench/startup.py starts beside ours.
    packages+=(binutils bpfcc-tools bpftool bpftrace busybox-static chromium chromium-driver
        clang clang-format cpio fish gdb iproute2 libssl3 linux-perf man-db musl-tools procps
        qemu-system-x86 util-linux vagrant zsh zstd)
    # A Node.js that came another way brings its own npm, and Debian's conflicts with it.
    command -v npm >/dev/null || packages+=(nodejs npm)
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing+=("$package")
done

wanted=.
[ "$purpose" = run ] || wanted='.[test]'
stamp=.venv/provisioned-$([ "$purpose" = run ] && echo run || echo test)
installs=()
[ ${#missing[@]} = 0 ] || installs+=("Debian packages, by apt-get: ${missing[*]}")
needs_python=
if [ ! -e "$stamp" ] || [ setup.cfg -nt "$stamp" ]; then
    needs_python=yes
    installs+=("Python packages that setup.cfg names, by pip, into $repository/.venv")
fi
needs_node=
if [ "$purpose" = test ] && [ ! -e tests/browser/node_modules/.package-lock.json ]; then
    needs_node=yes
    installs+=("Node.js packages, by npm, into $repository/tests/browser")
fi
if [ ${#installs[@]} -gt 0 ]; then
    {
        echo "This is for a test machine, not for a PBX that matters. It now installs"
        printf -- '- %s\n' "${installs[@]}"
        echo "Asterisk is not installed: the lab unpacks one into .cache. To install the profiler"
        echo "alone, see README.md. Ctrl-C stops this."
    } >&2
    if [ -t 0 ] && [ -t 2 ]; then sleep 5; fi # so that it can be read
fi

if [ ${#missing[@]} -gt 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    for attempt in 1 2 3; do
        if apt-get -qq -o Acquire::Retries=3 update &&
            apt-get -qq -y --no-install-recommends install "${missing[@]}"; then
            break
        fi
        [ "$attempt" -lt 3 ] || exit 1
        sleep 2
    done
fi

# The distribution's Python, because that is the one that has bcc.
[ -x .venv/bin/python ] || /usr/bin/python3 -m venv --system-site-packages .venv
if [ -n "$needs_python" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 5 -e "$wanted"
    touch "$stamp"
fi

if [ -n "$needs_node" ]; then
    (cd tests/browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi

if [ "$purpose" = vm ]; then
    .venv/bin/python -m lab fetch
    ln -sfn "$repository/.venv/bin/ebpf-prof" /usr/local/bin/ebpf-prof
    printf '#!/bin/sh\ncd %q && exec .venv/bin/python -m lab "$@"\n' "$repository" >/usr/local/bin/lab
    chmod 755 /usr/local/bin/lab
fi
