/* What births.bpf.c hands to user space. Mirror: profiler/process/threads/thread_births.py. */
#pragma once

/* A thread of the target that is about to begin, and what it will run. */
struct thread_birth {
    u64 routine; /* what pthread_create was given */
    u64 told;    /* the first word of what the routine is handed; 0: unreadable */
    u32 tid;     /* of the initial pid namespace */
    u32 zero;
};
