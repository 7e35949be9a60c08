"""Call frame information made into tables that the kernel unwinds with."""
