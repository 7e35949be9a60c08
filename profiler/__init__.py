"""ebpf-prof: profiles a running Asterisk without stopping, restarting or rebuilding it."""

__version__ = "0.1.0"
