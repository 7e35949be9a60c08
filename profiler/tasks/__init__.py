"""Task processors over a recording: what is pushed, how long it waits and runs; their queues."""
