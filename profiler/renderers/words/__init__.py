"""How numbers, names, containers and threads are said, the same in every output."""
