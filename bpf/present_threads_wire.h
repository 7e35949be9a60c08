/* What present_threads.bpf.c hands to user space. Mirror: profiler/process/present_threads.py. */
#pragma once

/* A thread of the target, and its registers when it left user mode; while it is on a CPU, those of
 * the last time that it did. */
struct present_thread {
    u64 ip;
    u64 sp;
    u64 bp;
    u64 fs_base;
    u32 tid; /* of the initial pid namespace */
    u32 on_cpu;
};
