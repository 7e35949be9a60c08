"""One moment: what each thread of the target waits for, and what the locks belong to."""
