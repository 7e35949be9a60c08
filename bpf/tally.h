/* Counting windows: how many lookups begin, by group, and nothing else about them.
 *
 * With one trap instead of two to five, and a short program, a storm of short lookups is slowed down
 * less, and far more of them are counted for the same cost. A full window goes on counting until user
 * space ends it: every lookup pays for its trap anyway, and what is counted must fit the CPU time
 * between two readings.
 */
#pragma once

BPF_HASH(tallies, struct group_key, u64, GROUPS); /* comparator is 0: it is not looked at */

int lookup_tally(struct pt_regs *ctx)
{
    u64 cookie = get_cookie(ctx);
    struct control *c = get_control();
    struct window_state *w = get_window();
    if (!c || !w)
        return NO_RETURN_PROBE;
    charge(c, w, trap_cost(c, cookie));
    if (!c->window)
        return NO_RETURN_PROBE;
    __sync_fetch_and_add(&w->tallied, 1);
    admit(c, w, bpf_ktime_get_ns());
    struct lookup l = {.entry = PLACE_OF(cookie), .entry_sp = ctx->sp + VALUE_OF(cookie)};
    if (read_arguments(ctx, &l))
        return NO_RETURN_PROBE;
    if (!CALL_SITE_ARGUMENTS)
        forget_call_site(&l);
    struct group_key key = {.container = l.container,
                            .file = l.file,
                            .function = l.function,
                            .line = l.line,
                            .flags = l.passed_flags,
                            .entry = l.entry};
    u64 zero = 0;
    u64 *count = tallies.lookup_or_try_init(&key, &zero);
    if (count)
        __sync_fetch_and_add(count, 1);
    return NO_RETURN_PROBE;
}

/* Memory of the target was touched that is watched meanwhile (profiler/watch.py). */
int lookup_watched(struct bpf_perf_event_data *ctx)
{
    struct control *c = get_control();
    struct window_state *w = get_window();
    if (!c || !w || bpf_get_current_pid_tgid() >> 32 != TARGET_TGID)
        return 0;
    __sync_fetch_and_add(&w->hits, 1);
    if (!c->window)
        return 0;
    charge(c, w, c->watched_ns);
    __sync_fetch_and_add(&w->watched, 1);
    return 0;
}
