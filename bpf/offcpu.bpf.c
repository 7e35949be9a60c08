/*
 * Tells for how long threads of the target do not run, in what, and who wakes them.
 *
 * On the raw tracepoints sched_switch and sched_waking (include/trace/events/sched.h), while a window
 * is open. Both run with interrupts off, so that what is kept for each CPU is one program's alone.
 *
 * -DTASK_...: places in struct task_struct, by BTF.
 */
#if defined(TASK_STATE) && defined(TASK_TGID) && defined(TASK_ON_CPU)
#include <uapi/linux/bpf.h>
#define TRAPS_RETURNS
#include "target.h"
#include "saved_registers.h"
#include "wire.h"
#include "unwind_store.h"
#include "lookup_state.h"
#include "threads.h"
#include "offcpu_wire.h"

#ifndef OFFCPU_RING_PAGES
#define OFFCPU_RING_PAGES 512
#endif
/* About what a chosen or another wait takes, and a stack. Only the moment of a stop depends on it. */
#define OFFCPU_WAIT_NS  1000
#define OFFCPU_OTHER_NS 400
#define OFFCPU_STACK_NS 4000

#define OFFCPU_DEAD 0x80 /* TASK_DEAD, include/linux/sched.h: it is ending */

/* x86-64 system calls, arch/x86/entry/syscalls/syscall_64.tbl */
#define OFFCPU_FUTEX      202
#define OFFCPU_FUTEX_WAKE 454 /* Linux 6.7 */
#define OFFCPU_FUTEX_WAIT 455
#define OFFCPU_EXIT       60

struct offcpu_scratch {
    u32 tid; /* whose wait a stack is for */
    u32 is_waker;
};

BPF_HASH(offcpu_waits, u32, struct offcpu_wait, SIZED); /* by tid */
BPF_RINGBUF_OUTPUT(offcpu_events, OFFCPU_RING_PAGES);
BPF_PERCPU_ARRAY(offcpu_unwinds, struct unwind_state, 1);
BPF_PERCPU_ARRAY(offcpu_scratches, struct offcpu_scratch, 1);
BPF_PERCPU_ARRAY(offcpu_counters, u64, OFFCPU_COUNTERS);
BPF_ARRAY(offcpu_control, struct offcpu_control, 1);
BPF_ARRAY(offcpu_state, struct offcpu_state, 1);
BPF_PROG_ARRAY(offcpu_programs, 1);

static __always_inline void offcpu_count(u32 counter)
{
    u64 *value = offcpu_counters.lookup(&counter);
    if (value)
        *value += 1;
}

static __always_inline bool offcpu_is_targets(void *task)
{
    u32 tgid;
    return !bpf_probe_read_kernel(&tgid, sizeof(tgid), task + TASK_TGID) && tgid == target_tgid();
}

static __always_inline bool offcpu_is_futex(s32 syscall)
{
    return syscall == OFFCPU_FUTEX || syscall == OFFCPU_FUTEX_WAIT;
}

/* Whether a wait looks like one for a mutex: glibc waits until its word is no longer 2
 * (nptl/lowlevellock.c). Only how often such waits are chosen depends on it. */
static __always_inline bool offcpu_is_lock(struct offcpu_wait *wait)
{
    return wait->syscall == OFFCPU_FUTEX && wait->value == 2;
}

/* Notes in which system call a thread is that has saved these registers. */
static __always_inline void offcpu_note_call(struct offcpu_wait *wait, struct pt_regs *regs)
{
    wait->syscall = OFFCPU_NO_SYSCALL;
    if ((regs->cs & 3) != 3 || (s64)regs->orig_ax < 0)
        return;
    wait->syscall = regs->orig_ax;
    wait->address = regs->di;
    wait->operation = regs->si;
    wait->value = regs->dx;
}

/* Unwinds the current thread's stack, for a wait; does not return if that can be done. */
static __always_inline void offcpu_unwind(void *ctx, struct pt_regs *regs, u32 tid, u32 is_waker)
{
    u32 zero = 0;
    struct unwind_state *unwind = offcpu_unwinds.lookup(&zero);
    struct offcpu_scratch *scratch = offcpu_scratches.lookup(&zero);
    struct offcpu_state *state = offcpu_state.lookup(&zero);
    if (!unwind || !scratch || !state)
        return;
    __sync_fetch_and_add(&state->spent_ns, OFFCPU_STACK_NS);
    scratch->tid = tid;
    scratch->is_waker = is_waker;
    unwind_begin_registers(unwind, regs);
    offcpu_programs.call(ctx, 0);
}

/* Unwinds on, or names what is done. */
int offcpu_continue(struct bpf_raw_tracepoint_args *ctx)
{
    u32 zero = 0;
    struct unwind_state *unwind = offcpu_unwinds.lookup(&zero);
    struct offcpu_scratch *scratch = offcpu_scratches.lookup(&zero);
    if (!unwind || !scratch)
        return 0;
    if (unwind->stack.cause == UNWIND_MORE && unwind_some(unwind) == UNWIND_MORE) {
        offcpu_programs.call(ctx, 0);
        unwind_give_up(unwind);
    }
    unwind->stack.time_ns = 0;
    unwind->stack.tid = 0;
    unwind_name(unwind);
    u32 tid = scratch->tid;
    struct offcpu_wait *wait = offcpu_waits.lookup(&tid);
    if (!wait || unwind_send(&unwind->stack))
        return 0;
    offcpu_count(OFFCPU_UNWOUND);
    u64 *name = scratch->is_waker ? wait->waker_stack : wait->stack;
    name[0] = unwind->stack.key;
    name[1] = unwind->stack.check;
    return 0;
}

/* Reports a wait that has ended. */
static __always_inline void offcpu_report(struct offcpu_wait *wait, u32 tid, u64 ended_ns)
{
    struct offcpu_event *event = offcpu_events.ringbuf_reserve(sizeof(struct offcpu_event));
    if (event) {
        event->ended_ns = ended_ns;
        event->tid = tid;
        event->zero = 0;
        __builtin_memcpy(event->wait, wait, sizeof(event->wait));
        offcpu_events.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
        offcpu_count(OFFCPU_REPORTED);
    } else {
        offcpu_count(OFFCPU_LOST);
    }
    offcpu_waits.delete(&tid);
}

/* A thread of the target runs again. */
static __always_inline void offcpu_end(void *task)
{
    u32 tid;
    if (bpf_probe_read_kernel(&tid, sizeof(tid), task + TASK_TID))
        return;
    struct offcpu_wait *wait = offcpu_waits.lookup(&tid);
    if (wait)
        offcpu_report(wait, tid, bpf_ktime_get_ns());
}

/* The current thread leaves its CPU: ends a wait of which the kernel has not told that it ended.
 * Some tasks leave their CPUs without the tracepoint (seen on Linux 6.18), so who runs behind them
 * comes unseen. The scheduler knows for how long it has run; only of realtime threads it does not. */
static __always_inline void offcpu_end_unseen(void *task, u32 tid, u64 now)
{
    u64 ran = 0, before = 0;
    struct offcpu_wait *wait = offcpu_waits.lookup(&tid);
    if (!wait)
        return;
    bpf_probe_read_kernel(&ran, 8, task + TASK_CPU);
    bpf_probe_read_kernel(&before, 8, task + TASK_CPU_BEFORE);
    ran -= before;
    offcpu_report(wait, tid, ran < now - wait->began_ns ? now - ran : now);
}

/* Whether a wait that begins now is to be seen, which has to do with the window. */
static __always_inline bool offcpu_is_open(struct offcpu_control *control,
                                           struct offcpu_state *state, u64 now)
{
    u32 window = control->window;
    if (!window || state->stopped == window)
        return false;
    if (state->spent_ns <= control->allowance_ns)
        return true;
    state->stopped_ns = now;
    state->stopped = window;
    return false;
}

/* The current thread, one of the target, leaves its CPU. */
static __always_inline void offcpu_begin(void *ctx, void *task)
{
    u32 zero = 0, tid = bpf_get_current_pid_tgid(), state_bits = 0;
    struct offcpu_control *control = offcpu_control.lookup(&zero);
    struct offcpu_state *state = offcpu_state.lookup(&zero);
    struct offcpu_wait wait = {.began_ns = bpf_ktime_get_ns()};
    struct pt_regs regs;
    offcpu_end_unseen(task, tid, wait.began_ns);
    if (!control || !state || !offcpu_is_open(control, state, wait.began_ns) ||
        bpf_probe_read_kernel(&state_bits, sizeof(state_bits), task + TASK_STATE) ||
        bpf_probe_read_kernel(&regs, sizeof(regs), saved_registers(current_task())))
        return;
    if (state_bits & OFFCPU_DEAD)
        return;
    offcpu_count(OFFCPU_SEEN);
    __sync_fetch_and_add(&state->spent_ns, OFFCPU_OTHER_NS);
    wait.window = control->window;
    wait.share = control->other_share;
    offcpu_note_call(&wait, &regs);
    if (!state_bits) {
        wait.flags = OFFCPU_PREEMPTED;
    } else if (offcpu_is_lock(&wait)) {
        offcpu_count(OFFCPU_LOCKS);
        wait.share = control->lock_share;
    }
    if ((u64)bpf_get_prandom_u32() * wait.share >> 32) {
        offcpu_count(OFFCPU_LEFT_OUT);
        return;
    }
    __sync_fetch_and_add(&state->spent_ns, OFFCPU_WAIT_NS);
    if (offcpu_waits.update(&tid, &wait))
        offcpu_count(OFFCPU_FULL);
    else if (state_bits && (regs.cs & 3) == 3)
        offcpu_unwind(ctx, &regs, tid, 0);
}

int offcpu_switch(struct bpf_raw_tracepoint_args *ctx)
{
    void *next = (void *)ctx->args[2];
    if (offcpu_is_targets(next))
        offcpu_end(next);
    if (bpf_get_current_pid_tgid() >> 32 == target_tgid())
        offcpu_begin(ctx, (void *)ctx->args[1]);
    return 0;
}

/* Who wakes a thread of the target that waits; of a futex, with the waker's stack. */
int offcpu_waking(struct bpf_raw_tracepoint_args *ctx)
{
    void *task = (void *)ctx->args[0];
    u32 tid;
    u64 current = bpf_get_current_pid_tgid();
    if (!offcpu_is_targets(task) || bpf_probe_read_kernel(&tid, sizeof(tid), task + TASK_TID) ||
        tid == (u32)current)
        return 0;
    struct offcpu_wait *wait = offcpu_waits.lookup(&tid);
    struct pt_regs regs;
    if (!wait)
        return 0;
    /* In an interrupt the current thread may be any, but hardly ever in such a call. */
    bool is_known = !bpf_probe_read_kernel(&regs, sizeof(regs), saved_registers(current_task()));
    s64 call = is_known && (regs.cs & 3) == 3 ? (s64)regs.orig_ax : OFFCPU_NO_SYSCALL;
    bool is_futex = offcpu_is_futex(wait->syscall), is_ours = current >> 32 == target_tgid();
    bool wakes = call == OFFCPU_FUTEX || call == OFFCPU_FUTEX_WAKE || call == OFFCPU_EXIT;
    if (is_futex ? !wakes : !is_ours || call < 0) {
        wait->waker = OFFCPU_KERNEL;
        return 0;
    }
    wait->waker_tid = current;
    wait->waker = is_ours ? OFFCPU_THREAD : OFFCPU_PROCESS;
    if (is_ours && is_futex)
        offcpu_unwind(ctx, &regs, tid, 1);
    return 0;
}

/* struct bpf_iter__task, kernel/bpf/task_iter.c */
struct offcpu_iteration {
    u64 meta;
    u64 task; /* 0 behind the last one */
};

/* When a thread left its CPU. The scheduler's clock is behind by what it is for us, who have just
 * begun to run. */
static __always_inline u64 offcpu_stopped_ns(void *task, u64 now)
{
    u64 our_arrival = 0, arrival = 0, ran = 0, before = 0;
    bpf_probe_read_kernel(&our_arrival, 8, current_task() + TASK_ARRIVED);
    bpf_probe_read_kernel(&arrival, 8, task + TASK_ARRIVED);
    bpf_probe_read_kernel(&ran, 8, task + TASK_CPU);
    bpf_probe_read_kernel(&before, 8, task + TASK_CPU_BEFORE);
    u64 ago = our_arrival - arrival, last = ran - before;
    if (!arrival || arrival > our_arrival)
        return now;
    return now - (last < ago ? ago - last : 0);
}

/* Notes the threads of the target that wait already, while an iterator of tasks is read. */
int offcpu_find(struct offcpu_iteration *ctx)
{
    void *task = (void *)ctx->task;
    u32 zero = 0, tid, state_bits;
    u8 on_cpu;
    struct pt_regs regs;
    struct offcpu_control *control = offcpu_control.lookup(&zero);
    struct offcpu_wait wait = {.share = 1, .flags = OFFCPU_OLD};
    if (!task || !control || !offcpu_is_targets(task) ||
        bpf_probe_read_kernel(&state_bits, sizeof(state_bits), task + TASK_STATE) || !state_bits ||
        bpf_probe_read_kernel(&on_cpu, sizeof(on_cpu), task + TASK_ON_CPU) || on_cpu ||
        bpf_probe_read_kernel(&tid, sizeof(tid), task + TASK_TID) ||
        bpf_probe_read_kernel(&regs, sizeof(regs), saved_registers(task)))
        return 0;
    wait.window = control->window;
    offcpu_note_call(&wait, &regs);
    wait.began_ns = offcpu_stopped_ns(task, bpf_ktime_get_ns());
    if (!offcpu_waits.insert(&tid, &wait))
        offcpu_count(OFFCPU_FOUND);
    return 0;
}
#endif
