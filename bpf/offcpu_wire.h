/* What offcpu.bpf.c shares with user space. Mirror: profiler/wire/offcpu.py. */
#pragma once

/* Who ended a wait. */
enum offcpu_waker {
    OFFCPU_NOBODY = 0,  /* it was not seen to be woken */
    OFFCPU_KERNEL = 1,  /* a timer or an interrupt */
    OFFCPU_THREAD = 2,  /* a thread of the target */
    OFFCPU_PROCESS = 3, /* another process */
};

/* Where waits of the target went: seen is the sum of the others, and of what still waits. */
enum offcpu_counter {
    OFFCPU_SEEN = 0,     /* threads that left a CPU while a window was open */
    OFFCPU_LEFT_OUT = 1, /* not chosen: others count for them */
    OFFCPU_FULL = 2,     /* no room to note that it began */
    OFFCPU_LOST = 3,     /* or that it ended */
    OFFCPU_REPORTED = 4,
    OFFCPU_UNWOUND = 5, /* stacks */
    OFFCPU_FOUND = 6,   /* threads that had waited already when the window was opened */
    OFFCPU_LOCKS = 7,   /* of those that were seen: they look like waits for a mutex */
    OFFCPU_COUNTERS = 8,
};

/* Flags of a wait. */
#define OFFCPU_PREEMPTED 1 /* it was ready to run */
#define OFFCPU_OLD       2 /* it began before the window */

#define OFFCPU_NO_SYSCALL -1

/* A wait, from its beginning on; by tid. Stacks are named as in struct unwind_stack; 0: none. */
struct offcpu_wait {
    u64 began_ns; /* CLOCK_MONOTONIC */
    u64 stack[2];
    u64 waker_stack[2];
    u64 address;          /* first argument of the system call */
    u32 operation, value; /* second and third: a futex's operation, and what it must not be */
    s32 syscall;
    u32 share; /* it was chosen among so many */
    u32 waker; /* enum offcpu_waker */
    u32 waker_tid;
    u32 window;
    u32 flags;
};

#define OFFCPU_WAIT_WORDS 10

/* One that ended. */
struct offcpu_event {
    u64 ended_ns;
    u32 tid;
    u32 zero;
    u64 wait[OFFCPU_WAIT_WORDS]; /* a struct offcpu_wait */
};

/* What user space wants. */
struct offcpu_control {
    u64 allowance_ns; /* waits that begin once `spent_ns` is more than this are left alone */
    u32 window;       /* its number; 0: none is open */
    u32 lock_share;   /* one in so many waits is chosen that look like one for a mutex */
    u32 other_share;  /* and of the others */
    u32 zero;
};

/* What the programs report about it. */
struct offcpu_state {
    u64 spent_ns;   /* about what they took, in all windows */
    u64 stopped_ns; /* when the allowance of a window was used up */
    u32 stopped;    /* the number of that window */
    u32 zero;
};
