/* What exits.bpf.c hands to user space. Mirror: profiler/process/threads/thread_exits.py. */
#pragma once

/* A thread of the target that has ended, and what it used in its life. */
struct thread_exit {
    u64 cpu_ns;
    u64 run_delay_ns; /* runnable, but waiting for a CPU; 0 in kernels that do not count it */
    u64 started_ns;   /* CLOCK_MONOTONIC */
    u32 tid;          /* of the initial pid namespace */
    u32 is_freed;     /* else it has only just ended, and cpu_ns is not all of it */
    char name[16];
};
