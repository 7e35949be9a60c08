/* What present_threads.bpf.c hands to user space. Mirror: profiler/process/threads/present_threads.py. */
#pragma once

/* A thread of the target, and its registers when it left user mode; while it is on a CPU, those of
 * the last time that it did. Times but `now_ns` are of the scheduler's clock. */
struct present_thread {
    u64 registers[21]; /* struct pt_regs, arch/x86/include/uapi/asm/ptrace.h */
    u64 fs_base;
    u64 now_ns;            /* CLOCK_MONOTONIC */
    u64 reader_arrived_ns; /* when who reads this came onto its CPU */
    u64 arrived_ns;        /* when the thread did, the last time; 0: never */
    u64 ran_ns;            /* CPU time of the thread */
    u64 ran_before_ns;     /* and when it came onto its CPU; not kept of realtime threads */
    u64 yielded;           /* how often it left a CPU by itself */
    u64 preempted;         /* and how often it was made to */
    u32 tid;               /* of the initial pid namespace */
    u32 on_cpu;
    u32 state;    /* bits of TASK_..., include/linux/sched.h; 0: it runs or is ready to */
    u32 priority; /* below 100: realtime */
    char name[16];
};
