/* The maps of the lookup programs, and how lookups come to a thread's and go. */
#pragma once

BPF_ARRAY(control, struct control, 1);
BPF_ARRAY(window_state, struct window_state, 1);
BPF_RINGBUF_OUTPUT(window_stops,
                   1); /* a record wakes user space: the window's allowance is spent */
BPF_ARRAY(lookup_counters, u64, LOOKUP_COUNTER_COUNT);
BPF_ARRAY(no_thread, struct thread, 1); /* zeroes */
BPF_ARRAY(threads_seen, u32, 1);        /* how many are in it */
BPF_HASH(layouts, u64, struct layout, 64);
BPF_HASH(unknown_v_tables, u64, u64, 64);    /* v_table to the address of a container that has it */
BPF_HASH(trapped_functions, u64, u32, 1024); /* sort and compare functions with a probe on them */
BPF_HASH(wanted_functions, u64, u64, 256);   /* callback to sort function: one has no probe */
BPF_HASH(groups, struct group_key, struct group, SIZED);
BPF_HASH(histograms, struct histogram_key, u64, SIZED);
BPF_HASH(lookup_stacks, struct lookup_stack_key, struct lookup_stack, SIZED);
BPF_HASH(cookies, u64, u64, 1024); /* by probe address; only for kernels without cookies */
BPF_ARRAY(traversal_code, struct traversal_code, 1);
BPF_ARRAY(traversal_frames, struct traversal_frame, ENTRY_COUNT);
BPF_PROG_ARRAY(lookup_programs, PROGRAMS);

static __always_inline void count_lookup(u32 counter)
{
    u64 *value = lookup_counters.lookup(&counter);
    if (value)
        __sync_fetch_and_add(value, 1);
}

static __always_inline struct control *get_control(void)
{
    int zero = 0;
    return control.lookup(&zero);
}

static __always_inline struct window_state *get_window(void)
{
    int zero = 0;
    return window_state.lookup(&zero);
}

/* Charge one probe hit to the open window. */
static __always_inline void charge(struct control *c, struct window_state *w, u32 trap_ns)
{
    __sync_fetch_and_add(&w->trap_ns, trap_ns);
    __sync_fetch_and_add(&w->spent_ns, trap_ns + c->program_ns);
}

static __always_inline u32 trap_cost(struct control *c, u64 cookie)
{
    return cookie & STEPPED ? c->stepped_trap_ns : c->trap_ns;
}

static __always_inline void leave_flight(void)
{
    struct window_state *w = get_window();
    if (w)
        __sync_fetch_and_add(&w->in_flight, -1ULL);
}

static __always_inline struct thread *this_thread_or_new(void)
{
    struct thread *t = this_thread();
    u32 tid = bpf_get_current_pid_tgid();
    int zero = 0;
    struct thread *empty = no_thread.lookup(&zero);
    u32 *seen = threads_seen.lookup(&zero);
    if (t || !empty || !seen || threads.insert(&tid, empty))
        return t;
    __sync_fetch_and_add(seen, 1);
    return this_thread();
}

static __always_inline struct lookup *top_lookup(struct thread *t)
{
    return t && t->depth ? lookup_at(t, t->depth - 1) : NULL;
}

/* What this thread is doing changes a container that lookups around it may be traversing. */
static __always_inline void disturb(struct thread *t, u64 container)
{
#pragma clang loop unroll(disable)
    for (u32 i = 0; t && i < MAX_DEPTH; i++) {
        struct lookup *l = lookup_at(t, i);
        if (i < t->depth && l->container == container)
            l->is_disturbed = 1;
    }
}

/* Drop lookups of earlier windows, and those whose stack the thread has already left. */
static __always_inline void drop_ended(struct thread *t, u64 window, u64 sp)
{
#pragma clang loop unroll(disable)
    for (int i = 0; i < MAX_DEPTH; i++) {
        struct lookup *l = top_lookup(t);
        if (!l || (l->window == window && l->entry_sp >= sp))
            return;
        if (l->window == window) { /* else user space counted it when it closed that window */
            count_lookup(l->phase == PHASE_ENTERED ? LOOKUPS_BARE : LOOKUPS_UNFINISHED);
            leave_flight();
        }
        t->depth--;
    }
}
