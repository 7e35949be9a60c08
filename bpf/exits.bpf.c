/*
 * Tells of threads of the target that have ended, once the kernel frees them.
 *
 * Only then is all that they used added up. What taskstats says of a thread that ends leaves out what
 * it used since it was last switched to or met by the scheduler's tick (taskstats_exit() comes before
 * the last schedule() in do_exit(), kernel/exit.c): of one that lived for less than a tick, nearly all.
 *
 * -DTARGET_TGID: in the initial pid namespace. -DTASK_...: places in struct task_struct, by BTF.
 */
#ifdef TASK_TGID
#include "exits_wire.h"

#ifndef EXIT_RING_PAGES
#define EXIT_RING_PAGES 256
#endif

BPF_RINGBUF_OUTPUT(exits, EXIT_RING_PAGES);
BPF_ARRAY(exits_lost, u64, 1);

/* On the raw tracepoint sched_process_free, include/trace/events/sched.h. */
int thread_freed(struct bpf_raw_tracepoint_args *ctx)
{
    char *task = (char *)ctx->args[0];
    u32 tgid = 0;
    int zero = 0;
    if (bpf_probe_read_kernel(&tgid, sizeof(tgid), task + TASK_TGID) || tgid != TARGET_TGID)
        return 0;
    struct thread_exit *ended = exits.ringbuf_reserve(sizeof(struct thread_exit));
    if (!ended) {
        u64 *lost = exits_lost.lookup(&zero);
        if (lost)
            __sync_fetch_and_add(lost, 1);
        return 0;
    }
    ended->unused = 0;
    bpf_probe_read_kernel(&ended->cpu_ns, sizeof(ended->cpu_ns), task + TASK_CPU);
    bpf_probe_read_kernel(&ended->run_delay_ns, sizeof(ended->run_delay_ns), task + TASK_RUN_DELAY);
    bpf_probe_read_kernel(&ended->started_ns, sizeof(ended->started_ns), task + TASK_STARTED);
    bpf_probe_read_kernel(&ended->tid, sizeof(ended->tid), task + TASK_TID);
    bpf_probe_read_kernel(&ended->name, sizeof(ended->name), task + TASK_NAME);
    exits.ringbuf_submit(ended, BPF_RB_NO_WAKEUP); /* they are fetched now and then */
    return 0;
}
#endif
