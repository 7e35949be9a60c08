"""The threads of a process: those that there are, births, ends, CPU time, stacks."""
