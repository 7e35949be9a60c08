/*
 * Reports what threads of the target are started with, before they run: however short their lives.
 *
 * The thread that calls pthread_create has just written it into the new one's struct pthread.
 *
 * -DTASK_FS_BASE, with TASK_TID: places in struct task_struct, by BTF.
 */
#if defined(TASK_FS_BASE) && defined(TASK_TGID)
#include "target.h"
#include "memory.h"
#include "births_wire.h"

#ifndef BIRTH_RING_PAGES
#define BIRTH_RING_PAGES 256
#endif

/* include/uapi/linux/sched.h. What has another thread's fs base was not made by pthread_create. */
#define CLONE_THREAD 0x00010000
#define CLONE_SETTLS 0x00080000

BPF_RINGBUF_OUTPUT(births, BIRTH_RING_PAGES);

/* On the raw tracepoint task_newtask, include/trace/events/task.h, in the thread that creates. */
int thread_born(struct bpf_raw_tracepoint_args *ctx)
{
    u64 flags = ctx->args[1];
    if (!(flags & CLONE_THREAD) || !(flags & CLONE_SETTLS) ||
        bpf_get_current_pid_tgid() >> 32 != target_tgid())
        return 0;
    char *task = (char *)ctx->args[0];
    u64 descriptor, start[2]; /* routine and argument */
    if (bpf_probe_read_kernel(&descriptor, sizeof(descriptor), task + TASK_FS_BASE) ||
        bpf_probe_read_user(start, sizeof(start), (void *)descriptor + start_routine_offset()))
        return 0;
    struct thread_birth *born = births.ringbuf_reserve(sizeof(struct thread_birth));
    if (!born)
        return 0; /* then samples tell its role, if there are any */
    born->routine = start[0];
    bpf_probe_read_user(&born->told, sizeof(born->told), (void *)start[1]); /* else clears it */
    bpf_probe_read_kernel(&born->tid, sizeof(born->tid), task + TASK_TID);
    born->zero = 0;
    births.ringbuf_submit(born, BPF_RB_NO_WAKEUP); /* they are fetched now and then */
    return 0;
}
#endif
