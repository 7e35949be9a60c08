/* What cpu.bpf.c hands to user space. Mirror: profiler/wire/unwind.py. */
#pragma once

/* Where every sample of the target went: fired is the sum of the others. */
enum cpu_counter {
    CPU_FIRED = 0,
    CPU_KEPT = 1,      /* recorded with a whole stack */
    CPU_LOST = 2,      /* the ring was full */
    CPU_TRUNCATED = 3, /* recorded with a truncated stack */
    CPU_COUNTERS = 4,
};

/* Value of cpu_push_sites: DWARF number of the register | bytes of the instruction << 8 | this when
 * nothing was pushed before, so that the return address was on top of the stack. */
#define CPU_PUSH_BYTES(value) ((value) >> 8 & 0xff)
#define CPU_PUSH_IS_FIRST     0x10000

/* What samples of the target cost on one CPU, without the interrupts that start them. */
struct cpu_time {
    u64 started_ns; /* the last one */
    u64 taken_ns;   /* all together */
};
