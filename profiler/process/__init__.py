"""One process as the kernel shows it: procfs, mappings, memory, threads, sockets."""
