/*
 * Reports tasks that are pushed to task processors, that begin, and that end.
 *
 * -DPROCESSOR_REGISTER, -DTASK_REGISTER: where ast_taskprocessor_execute() keeps both, as numbers of
 * the hardware. -DFUNCTION_OFFSET, -DDATA_OFFSET: in a task. -DSIZE_OFFSET, -DNAME_OFFSET: in a task
 * processor, -1 where not known. -DNAME_IS_POINTER: whether there is the name or where it is. All are
 * found in the target's code (profiler/asterisk/task_code.py).
 */
#include <uapi/linux/ptrace.h>
#include "memory.h"
#include "tasks_wire.h"

#ifndef TASK_RING_PAGES
#define TASK_RING_PAGES 1024
#endif

BPF_RINGBUF_OUTPUT(task_events, TASK_RING_PAGES);
BPF_RINGBUF_OUTPUT(task_stops, 1);
BPF_ARRAY(task_control, struct task_control, 1);
BPF_ARRAY(task_state, struct task_state, 1);

/* A callee-saved register by the hardware's number. */
#define REGISTER_3       bx
#define REGISTER_5       bp
#define REGISTER_12      r12
#define REGISTER_13      r13
#define REGISTER_14      r14
#define REGISTER_15      r15
#define JOINED(a, b)     a##b
#define REGISTER(number) JOINED(REGISTER_, number)

/* As in memory.h: BCC looks at calls by the usual name. */
static long (*const read_user_string)(void *to, u32 bytes,
                                      const void *from) = (void *)BPF_FUNC_probe_read_user_str;

/* Charges an event; returns it to be filled and sent, or nothing. */
static __always_inline struct task_event *task_event(u32 kind, u64 now)
{
    int zero = 0;
    struct task_control *c = task_control.lookup(&zero);
    struct task_state *s = task_state.lookup(&zero);
    if (!c || !s)
        return 0;
    __sync_fetch_and_add(&s->events[kind], 1);
    __sync_fetch_and_add(&s->spent_ns, c->event_ns);
    u64 allowance_ns = c->allowance_ns;
    bool is_spent = s->spent_ns > allowance_ns;
    if (is_spent && s->used_up_ns != allowance_ns) {
        s->used_up_ns = allowance_ns;
        s->stopped_ns = now;
        task_stops.ringbuf_output(&allowance_ns, sizeof(allowance_ns), BPF_RB_FORCE_WAKEUP);
    }
    if (kind == TASK_PUSH && (is_spent || now >= c->admit_until_ns)) {
        __sync_fetch_and_add(&s->refused, now < c->admit_until_ns);
        return 0;
    }
    struct task_event *event = task_events.ringbuf_reserve(sizeof(struct task_event));
    if (!event) {
        __sync_fetch_and_add(&s->lost, 1);
        return 0;
    }
    event->time_ns = now;
    event->tid = (u32)bpf_get_current_pid_tgid();
    event->kind = kind;
    event->site = 0;
    event->task = 0;
    event->length = -1;
    event->processor = 0;
    event->function = 0;
    event->data = 0;
    event->name[0] = 0;
    return event;
}

/* It may be gone, and its memory another's, before user space could read it. */
static __always_inline void read_name(struct task_event *event)
{
#if NAME_OFFSET >= 0
    char *name = (char *)event->processor + NAME_OFFSET;
#if NAME_IS_POINTER
    bpf_probe_read_user(&name, sizeof(name), name);
#endif
    if (read_user_string(event->name, sizeof(event->name), name) < 0)
        event->name[0] = 0;
#endif
}

/* Where a task processor's queue got a task: its arguments are (processor, function, data). */
int task_push(struct pt_regs *ctx)
{
    struct task_event *event = task_event(TASK_PUSH, bpf_ktime_get_ns());
    if (!event)
        return 0;
    event->processor = ctx->di;
    event->function = ctx->si;
    event->data = ctx->dx;
    bpf_probe_read_user(&event->site, sizeof(event->site), (void *)ctx->sp);
#if SIZE_OFFSET >= 0
    s64 *length = (s64 *)(ctx->di + SIZE_OFFSET);
    if (bpf_probe_read_user(&event->length, sizeof(event->length), length))
        event->length = -1;
#endif
    read_name(event);
    task_events.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
    return 0;
}

/* Just before a task's function is called, without a lock. */
int task_begin(struct pt_regs *ctx)
{
    struct task_event *event = task_event(TASK_BEGIN, bpf_ktime_get_ns());
    if (!event)
        return 0;
    char *task = (char *)ctx->REGISTER(TASK_REGISTER);
    event->processor = ctx->REGISTER(PROCESSOR_REGISTER);
    event->task = (u64)task;
    bpf_probe_read_user(&event->function, sizeof(event->function), task + FUNCTION_OFFSET);
    bpf_probe_read_user(&event->data, sizeof(event->data), task + DATA_OFFSET);
    read_name(event);
    task_events.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
    return 0;
}

/* Just behind that call. */
int task_end(struct pt_regs *ctx)
{
    struct task_event *event = task_event(TASK_END, bpf_ktime_get_ns());
    if (!event)
        return 0;
    event->task = ctx->REGISTER(TASK_REGISTER);
    task_events.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
    return 0;
}
