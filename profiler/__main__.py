"""`python -m profiler`, and `ebpf-prof`: the command line, from its first moment on."""

import sys


def main() -> None:
    """Run the command line and exit; Ctrl-C while its modules are loaded is no bug either."""
    try:
        # On a busy machine, loading its modules takes long, too.
        if sys.argv[1:2] in (["asterisk"], ["waits"], ["leaks"]):
            from profiler.linux.priority import raise_priority

            raise_priority()
        from profiler.cli.commands import main as run
    except KeyboardInterrupt:
        sys.stderr.write("ebpf-prof: aborted; no probe is left\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
