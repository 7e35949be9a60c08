/* What cpu.bpf.c hands to user space. Mirror: profiler/wire/unwind.py. */
#pragma once

/* Where every sample of the target went: fired is the sum of the others. */
enum cpu_counter {
    CPU_FIRED = 0,
    CPU_KEPT = 1,      /* recorded with a whole stack */
    CPU_LOST = 2,      /* ring buffer or stacks map full */
    CPU_COLLIDED = 3,  /* its stack's key is another stack's */
    CPU_TRUNCATED = 4, /* recorded with a truncated stack */
    CPU_COUNTERS = 5,
};

/* Value of cpu_push_sites: DWARF number of the register | bytes of the instruction << 8 | this when
 * nothing was pushed before, so that the return address was on top of the stack. */
#define CPU_PUSH_BYTES(value) ((value) >> 8 & 0xff)
#define CPU_PUSH_IS_FIRST     0x10000

/* One observation of a thread on a CPU. */
struct cpu_sample {
    u64 time_ns; /* CLOCK_MONOTONIC */
    u64 stack;   /* key in unwind_stacks */
    u32 tid;     /* of the initial pid namespace */
    u32 cause;   /* enum unwind_cause */
};

/* What samples of the target cost on one CPU, without the interrupts that start them. */
struct cpu_time {
    u64 started_ns; /* the last one */
    u64 taken_ns;   /* all together */
};
