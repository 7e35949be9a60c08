/* SPDX-License-Identifier: MIT
 *
 * Counts who links objects into containers that grow, by call stack.
 *
 * -DLINK_STACK_BYTES: what __ao2_link() has pushed before the probe. Its arguments are (container,
 * object, ...), main/astobj2_container.c, Asterisk 13 to 23.
 */
#include <uapi/linux/ptrace.h>
#include "target.h"
#include "helpers.h"
#include "unwind_store.h"
#include "links_wire.h"

#define LINK_PROGRAMS       1
#define PROGRAM_LINK_UNWIND 0

/* A thread whose stack is being unwound. */
struct link_thread {
    u64 container;
    struct unwind_state unwind;
};

BPF_ARRAY(link_control, struct link_control, 1);
BPF_ARRAY(link_state, struct link_state, 1);
BPF_HASH(linked_containers, u64, u8, 64);
BPF_HASH(link_counts, struct link_stack, u64, 1024);
BPF_HASH(link_threads, u32, struct link_thread, 64); /* by tid */
BPF_ARRAY(no_link_thread, struct link_thread, 1);    /* zeroes */
BPF_RINGBUF_OUTPUT(link_stops, 1); /* a record wakes user space: an allowance is spent */
BPF_PROG_ARRAY(link_programs, LINK_PROGRAMS);

static __always_inline bool is_allowed(struct link_control *c, struct link_state *s)
{
    u64 allowance_ns = c->allowance_ns;
    __sync_fetch_and_add(&s->events, 1);
    __sync_fetch_and_add(&s->spent_ns, c->event_ns);
    if (allowance_ns && s->spent_ns <= allowance_ns)
        return true;
    if (allowance_ns && s->used_up_ns != allowance_ns) {
        s->used_up_ns = allowance_ns;
        link_stops.ringbuf_output(&allowance_ns, sizeof(allowance_ns), BPF_RB_FORCE_WAKEUP);
    }
    __sync_fetch_and_add(&s->refused, 1);
    return false;
}

static __always_inline struct link_thread *new_link_thread(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    int zero = 0;
    struct link_thread *empty = no_link_thread.lookup(&zero);
    if (!empty || link_threads.update(&tid, empty))
        return 0;
    return link_threads.lookup(&tid);
}

/* __ao2_link() is called. */
int link_begin(struct pt_regs *ctx)
{
    int zero = 0;
    u64 container = ctx->di, caller = 0, sp = ctx->sp + LINK_STACK_BYTES;
    struct link_control *c = link_control.lookup(&zero);
    struct link_state *s = link_state.lookup(&zero);
    if (!c || !s || !is_allowed(c, s))
        return 0;
    if (!linked_containers.lookup(&container)) {
        __sync_fetch_and_add(&s->others, 1);
        return 0;
    }
    __sync_fetch_and_add(&s->spent_ns, c->unwind_ns);
    struct link_thread *t = new_link_thread();
    if (t) {
        t->container = container;
        bpf_probe_read_user(&caller, sizeof(caller), (void *)sp);
        unwind_begin_caller(&t->unwind, caller, sp + 8, ctx->bp);
        link_programs.call(ctx, PROGRAM_LINK_UNWIND);
    }
    __sync_fetch_and_add(&s->lost, 1);
    return 0;
}

/* Whether a link was counted whose stack has been unwound. */
static __always_inline bool count_link(struct link_thread *t)
{
    u64 none = 0;
    unwind_name(&t->unwind);
    struct link_stack link = {
        .container = t->container, .stack = t->unwind.stack.key, .check = t->unwind.stack.check};
    if (unwind_send(&t->unwind.stack))
        return false;
    u64 *count = link_counts.lookup_or_try_init(&link, &none);
    if (!count)
        return false;
    __sync_fetch_and_add(count, 1);
    return true;
}

int link_unwind(struct pt_regs *ctx)
{
    int zero = 0;
    u32 tid = bpf_get_current_pid_tgid();
    struct link_state *s = link_state.lookup(&zero);
    struct link_thread *t = link_threads.lookup(&tid);
    if (!s || !t)
        return 0;
    if (unwind_some(&t->unwind) == UNWIND_MORE) {
        link_programs.call(ctx, PROGRAM_LINK_UNWIND);
        unwind_give_up(&t->unwind);
    }
    if (!count_link(t))
        __sync_fetch_and_add(&s->lost, 1);
    link_threads.delete(&tid);
    return 0;
}
