/*
 * Reports the threads of the target and where they left user mode, so that it can be read where they
 * began, without a sample of them.
 *
 * -DTASK_ON_CPU, with TASK_TGID, TASK_TID and TASK_FS_BASE: places in struct task_struct, by BTF.
 */
#if defined(TASK_ON_CPU) && defined(TASK_FS_BASE) && defined(TASK_TGID)
#include "target.h"
#include "saved_registers.h"
#include "present_threads_wire.h"

#ifndef PRESENT_RING_PAGES
#define PRESENT_RING_PAGES 256
#endif

BPF_RINGBUF_OUTPUT(present_threads, PRESENT_RING_PAGES);

/* struct bpf_iter__task, kernel/bpf/task_iter.c */
struct task_iteration {
    u64 meta;
    u64 task; /* 0 behind the last one */
};

/* For each thread of the system, while an iterator of tasks is read. */
int thread_present(struct task_iteration *ctx)
{
    void *task = (void *)ctx->task;
    if (!task)
        return 0;
    u32 tgid;
    struct pt_regs regs;
    if (bpf_probe_read_kernel(&tgid, sizeof(tgid), task + TASK_TGID) || tgid != target_tgid() ||
        bpf_probe_read_kernel(&regs, sizeof(regs), saved_registers(task)) || (regs.cs & 3) != 3)
        return 0;
    struct present_thread *present = present_threads.ringbuf_reserve(sizeof(struct present_thread));
    if (!present)
        return 0; /* then samples tell what it runs, if there are any */
    present->ip = regs.ip;
    present->sp = regs.sp;
    present->bp = regs.bp;
    bpf_probe_read_kernel(&present->fs_base, sizeof(present->fs_base), task + TASK_FS_BASE);
    bpf_probe_read_kernel(&present->tid, sizeof(present->tid), task + TASK_TID);
    u8 on_cpu; /* 0 or 1 in an int; in a byte since Linux 7, with others behind it */
    present->on_cpu = bpf_probe_read_kernel(&on_cpu, sizeof(on_cpu), task + TASK_ON_CPU) || on_cpu;
    present_threads.ringbuf_submit(present, BPF_RB_NO_WAKEUP);
    return 0;
}
#endif
