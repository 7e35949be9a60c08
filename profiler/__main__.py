"""`python -m profiler`: the same command line as `ebpf-prof`."""

from profiler.cli import main

main()
