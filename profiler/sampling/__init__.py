"""Samples of the CPUs, threads that are born, and what samples cost."""
