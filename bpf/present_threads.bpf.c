/*
 * Reports the threads of the target: where they left user mode, so that their stacks can be read
 * without a sample of them, and when they ran last.
 *
 * -DTASK_...: places in struct task_struct, by BTF.
 */
#if defined(TASK_ON_CPU) && defined(TASK_FS_BASE) && defined(TASK_TGID)
#include "target.h"
#include "saved_registers.h"
#include "present_threads_wire.h"

/* struct bpf_iter_meta, include/linux/bpf.h, up to where a program writes to who reads */
struct iteration_meta {
    u64 seq;
};

/* struct bpf_iter__task, kernel/bpf/task_iter.c */
struct task_iteration {
    u64 meta;
    u64 task; /* 0 behind the last one */
};

#define CODE_SEGMENT       17 /* in `registers` */
#define READ(member, from) bpf_probe_read_kernel(&(member), sizeof(member), (from))

/* For each thread of the system, while an iterator of tasks is read. */
int thread_present(struct task_iteration *ctx)
{
    void *task = (void *)ctx->task;
    u32 tgid;
    struct present_thread present = {};
    if (!task || READ(tgid, task + TASK_TGID) || tgid != target_tgid() ||
        READ(present.registers, saved_registers(task)) ||
        (present.registers[CODE_SEGMENT] & 3) != 3)
        return 0;
    present.now_ns = bpf_ktime_get_ns();
    READ(present.reader_arrived_ns, current_task() + TASK_ARRIVED);
    READ(present.arrived_ns, task + TASK_ARRIVED);
    READ(present.ran_ns, task + TASK_CPU);
    READ(present.ran_before_ns, task + TASK_CPU_BEFORE);
    READ(present.yielded, task + TASK_YIELDED);
    READ(present.preempted, task + TASK_PREEMPTED);
    READ(present.fs_base, task + TASK_FS_BASE);
    READ(present.tid, task + TASK_TID);
    u8 on_cpu; /* 0 or 1 in an int; in a byte since Linux 7, with others behind it */
    present.on_cpu = READ(on_cpu, task + TASK_ON_CPU) || on_cpu;
    READ(present.state, task + TASK_STATE);
    READ(present.priority, task + TASK_PRIORITY);
    READ(present.name, task + TASK_NAME);
    struct iteration_meta *meta = (void *)ctx->meta;
    seq_write((void *)meta->seq, &present, sizeof(present));
    return 0;
}
#endif
