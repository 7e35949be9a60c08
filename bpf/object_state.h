/* What the programs that follow objects keep, what they are charged, and how they tell user space. */
#pragma once

#define OBJECT_PROGRAMS       1
#define PROGRAM_OBJECT_UNWIND 0
#define COUNT_OFFSET          -8 /* struct __priv_data, ref_counter: 16.1 and later */

/* A chosen object that is being allocated by this thread, and the event that waits for its stack. */
struct object_thread {
    u64 entry_sp; /* 0: none is being allocated */
    u64 has_stacks;
    struct object_type type;
    u64 caller;
    struct object_event event;
    struct unwind_state unwind;
};

BPF_ARRAY(object_control, struct object_control, WATCH_COUNT);
BPF_ARRAY(object_state, struct object_state, WATCH_COUNT);
BPF_HASH(object_types, struct object_type, struct object_births, 4096);
BPF_HASH(object_links, struct object_link, u64, 16384);
BPF_HASH(followed_objects, u64, struct followed_object, SIZED);
BPF_HASH(object_threads, u32, struct object_thread, SIZED); /* by tid */
BPF_ARRAY(no_object_thread, struct object_thread, 1);       /* zeroes */
BPF_HASH(cookies, u64, u64, 1024); /* by probe address; only for kernels without cookies */
BPF_RINGBUF_OUTPUT(object_events, SIZED);
BPF_RINGBUF_OUTPUT(object_stops, 1); /* a record wakes user space: an allowance is spent */
BPF_PROG_ARRAY(object_programs, OBJECT_PROGRAMS);

static __always_inline void charge(struct object_control *c, struct object_state *s, u32 trap_ns)
{
    __sync_fetch_and_add(&s->trap_ns, trap_ns);
    __sync_fetch_and_add(&s->spent_ns, trap_ns + c->program_ns);
    u64 allowance_ns = c->allowance_ns;
    if (s->spent_ns > allowance_ns && s->used_up_ns != allowance_ns) {
        s->used_up_ns = allowance_ns;
        object_stops.ringbuf_output(&allowance_ns, sizeof(allowance_ns), BPF_RB_FORCE_WAKEUP);
    }
}

static __always_inline u64 get_cookie(struct pt_regs *ctx)
{
#if COOKIES_BY_ADDRESS
    u64 address = ctx->ip;
    u64 *cookie = cookies.lookup(&address);
    return cookie ? *cookie : ~0ULL;
#else
    return get_attach_cookie(ctx);
#endif
}

static __always_inline u32 trap_cost(struct object_control *c, u64 cookie)
{
    return cookie & STEPPED ? c->stepped_trap_ns : c->trap_ns;
}

static __always_inline struct object_thread *this_object_thread(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    int zero = 0;
    struct object_thread *t = object_threads.lookup(&tid);
    struct object_thread *empty = no_object_thread.lookup(&zero);
    if (t || !empty || object_threads.insert(&tid, empty))
        return t;
    return object_threads.lookup(&tid);
}

/* Threads come and go: of those that are gone nothing stays. */
static __always_inline void forget_object_thread(struct object_thread *t)
{
    u32 tid = bpf_get_current_pid_tgid();
    if (!t->entry_sp)
        object_threads.delete(&tid);
}

static __always_inline void send(struct object_state *s, struct object_event *event)
{
    struct followed_object *followed;
    if (!object_events.ringbuf_output(event, sizeof(*event), BPF_RB_NO_WAKEUP))
        return;
    if (event->place == OBJECT_FREE)
        return; /* it will be seen that the object is gone */
    __sync_fetch_and_add(event->place <= OBJECT_INNER_ALLOC ? &s->births_lost : &s->changes_lost,
                         1);
    followed = followed_objects.lookup(&event->object);
    if (followed && followed->id == event->id)
        __sync_fetch_and_add(&followed->changes_lost, 1);
}

/* Whether a change of a followed object is still to be handed over. */
static __always_inline bool has_room(struct object_control *c, struct object_state *s,
                                     struct followed_object *followed)
{
    __sync_fetch_and_add(&s->changes, 1);
    __sync_fetch_and_add(&followed->changes, 1);
    if (followed->changes <= c->max_changes)
        return true;
    __sync_fetch_and_add(&s->changes_lost, 1);
    __sync_fetch_and_add(&followed->changes_lost, 1);
    return false;
}

/* Sends an event after its stack was unwound from the caller on, or without one where that cannot be. */
static __always_inline void send_with_stack(struct pt_regs *ctx, struct object_state *s,
                                            struct object_event *event, u64 caller_sp)
{
    struct object_thread *t = this_object_thread();
    if (t) {
        t->event = *event;
        unwind_begin_caller(&t->unwind, event->caller, caller_sp, ctx->bp);
        object_programs.call(ctx, PROGRAM_OBJECT_UNWIND);
    }
    send(s, event);
    if (t)
        forget_object_thread(t);
}
