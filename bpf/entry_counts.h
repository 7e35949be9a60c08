/* How many lookups begin, by group, and nothing else about them.
 *
 * One trap and a short program, where measuring takes two to five traps and a walk. So this is in
 * place as long as the budget bears it: nearly always where lookups are few, for short stretches
 * where they are many. It goes on beyond its allowance until user space ends it: every lookup pays for
 * its trap anyway.
 */
#pragma once

BPF_ARRAY(counting_control, struct counting_control, 1);
BPF_ARRAY(counting_state, struct counting_state, 1);
BPF_HASH(entry_counts, struct group_key, u64, SIZED); /* the buckets are 0: not looked at */

/* Since 6.13 the kernel keeps the stack of a program without tail calls in memory of the CPU, though
 * another thread may run the program on that CPU before it is done (kernel/bpf/verifier.c,
 * bpf_enable_priv_stack; probes in user space can be preempted). Then one thread's container was counted
 * for another's call site. With a tail call, even one that never succeeds, the stack is the thread's. */
static __always_inline void keep_own_stack(struct pt_regs *ctx)
{
    lookup_programs.call(ctx, PROGRAMS); /* there is none */
}

int count_entry(struct pt_regs *ctx)
{
    int zero = 0;
    u64 cookie = get_cookie(ctx);
    struct counting_control *c = counting_control.lookup(&zero);
    struct counting_state *s = counting_state.lookup(&zero);
    struct control *window = get_control();
    if (!c || !s || !window)
        return 0;
    /* While a window is open, the trap is charged to that. */
    u32 trap_ns = window->window ? 0 : trap_cost(window, cookie);
    __sync_fetch_and_add(&s->trap_ns, trap_ns);
    __sync_fetch_and_add(&s->spent_ns, trap_ns + c->program_ns);
    if (!c->is_open)
        return 0;
    u64 allowance_ns = c->allowance_ns;
    if (s->spent_ns > allowance_ns && s->used_up_ns != allowance_ns) {
        s->used_up_ns = allowance_ns;
        window_stops.ringbuf_output(&allowance_ns, sizeof(allowance_ns), BPF_RB_FORCE_WAKEUP);
    }
    struct lookup l = {.entry = PLACE_OF(cookie), .entry_sp = ctx->sp + VALUE_OF(cookie)};
    if (read_arguments(ctx, &l))
        return 0;
    bpf_probe_read_user(&l.head.cmp_fn, sizeof(l.head.cmp_fn),
                        (void *)l.container + offsetof(struct container_head, cmp_fn));
    struct group_key key = group_key(&l);
    u64 none = 0;
    u64 *count = entry_counts.lookup_or_try_init(&key, &none);
    if (count)
        __sync_fetch_and_add(count, 1);
    else {
        __sync_fetch_and_add(&s->lost, 1);
        keep_own_stack(ctx);
    }
    return 0;
}
