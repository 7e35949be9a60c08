"""The UDP sockets of a process: queues and drops."""
