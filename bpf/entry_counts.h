/* Counting windows: how many lookups begin, by group, and nothing else about them.
 *
 * With one trap instead of two to five, and a short program, many short lookups are slowed down
 * less, and far more of them are counted for the same cost. A full window goes on counting until user
 * space ends it: every lookup pays for its trap anyway, and what is counted must fit the CPU time
 * between two readings.
 */
#pragma once

BPF_HASH(entry_counts, struct group_key, u64, SIZED); /* comparator is 0: it is not looked at */

int count_entry(struct pt_regs *ctx)
{
    u64 cookie = get_cookie(ctx);
    struct control *c = get_control();
    struct window_state *w = get_window();
    if (!c || !w)
        return NO_RETURN_PROBE;
    charge(c, w, trap_cost(c, cookie));
    if (!c->window)
        return NO_RETURN_PROBE;
    __sync_fetch_and_add(&w->entry_count, 1);
    admit(c, w, bpf_ktime_get_ns());
    struct lookup l = {.entry = PLACE_OF(cookie), .entry_sp = ctx->sp + VALUE_OF(cookie)};
    if (read_arguments(ctx, &l))
        return NO_RETURN_PROBE;
    struct group_key key = group_key(&l);
    u64 zero = 0;
    u64 *count = entry_counts.lookup_or_try_init(&key, &zero);
    if (count)
        __sync_fetch_and_add(count, 1);
    return NO_RETURN_PROBE;
}
