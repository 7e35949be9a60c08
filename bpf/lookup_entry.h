/* How a lookup begins: arguments, admission, and the start of its traversal. */
#pragma once

/* Read what the entry function was called with. Argument registers: System V ABI, x86-64, 3.2.3;
 * prototypes: main/astobj2_container.c, Asterisk 14 and later. */
static __always_inline int read_arguments(struct pt_regs *ctx, struct lookup *l)
{
    u64 stacked[3]; /* the return address, then the arguments that do not fit into registers */
    u64 at = l->entry_sp;
    l->container = ctx->di;
    if (bpf_probe_read_user(stacked, sizeof(stacked), (void *)at))
        return -1;
    l->return_address = stacked[0];
    if (l->entry == ENTRY_CALLBACK) {
        l->passed_flags = ctx->si;
        l->callback = ctx->dx;
        l->argument = ctx->cx;
        l->file = ctx->r9;
        l->line = stacked[1];
        l->function = stacked[2];
        return 0;
    }
    if (l->entry == ENTRY_CALLBACK_DATA) {
        l->passed_flags = ctx->si;
        l->callback = ctx->dx;
        l->argument = ctx->cx;
        l->file = stacked[1];
        l->line = stacked[2];
        return bpf_probe_read_user(&l->function, 8, (void *)(at + 24)) ? -1 : 0;
    }
    l->argument = ctx->si;
    l->passed_flags = ctx->dx;
    l->file = ctx->r8;
    l->line = ctx->r9;
    l->function = stacked[1];
    return 0;
}

static __always_inline struct group_key group_key(struct lookup *l)
{
    /* Asterisk 13: no file, line and function; the call site is the return address. */
    struct group_key key = {.container = l->container,
                            .comparator = l->head.cmp_fn,
                            .file = CALL_SITE_ARGUMENTS ? l->file : 0,
                            .function = CALL_SITE_ARGUMENTS ? l->function : l->return_address,
                            .line = CALL_SITE_ARGUMENTS ? l->line : 0,
                            .flags = l->passed_flags,
                            .entry = l->entry,
                            .buckets = l->buckets};
    return key;
}

/* Not where nothing is returned to the caller and another probe sees the traversal's end. Where so
 * many lookups are measured that it slows the target down, one in some is drawn at random among those for
 * one element: what they return must be the object at which the traversal ended, if it is not NULL. */
static __always_inline bool needs_return(struct control *c, struct lookup *l)
{
    if (!RETURNS)
        return false;
    if (l->phase == PHASE_TRAVERSING && !l->traversal_sp)
        return true; /* not predicted, so no other probe takes it for this lookup's */
    if (!EXHAUSTED_SITES && ((l->passed_flags & OBJ_NOLOCK) || !UNLOCK_SITES))
        return true;
    if (l->entry == ENTRY_UNLINK || (l->passed_flags & OBJ_NODATA))
        return false;
    if (l->entry != ENTRY_FIND || (l->passed_flags & (OBJ_UNLINK | OBJ_MULTIPLE)))
        return true;
    return !PREDICTS || !l->traversal_sp || !c->return_share ||
           bpf_get_prandom_u32() % c->return_share == 0;
}

static __always_inline bool admit(struct control *c, struct window_state *w, u64 now)
{
    if (!c->window)
        return false;
    if (now < c->admit_until_ns && w->spent_ns < c->allowance_ns)
        return true;
    __sync_fetch_and_add(&w->refused, 1);
    if (!w->closed_ns) {
        w->closed_ns = now;
        window_stops.ringbuf_output(&now, sizeof(now), BPF_RB_FORCE_WAKEUP);
    }
    return false;
}

static __always_inline bool may_unlink(struct pt_regs *ctx, u32 entry)
{
    u64 second = ctx->si, third = ctx->dx;
    asm volatile("" : "+r"(second), "+r"(third)); /* verifier: else one of two addresses is read */
    bool is_callback = entry == ENTRY_CALLBACK || entry == ENTRY_CALLBACK_DATA;
    return entry == ENTRY_UNLINK || ((is_callback ? second : third) & OBJ_UNLINK);
}

/* Comparisons that a lookup makes unseen inside another one would be counted for that one, and what
 * it takes out would not be missed. */
static __always_inline void mark_inner_unseen(struct pt_regs *ctx, struct thread *t, u64 window,
                                              u32 entry)
{
    struct lookup *outer = top_lookup(t);
    if (!outer || outer->window != window)
        return;
    outer->inner_unseen = 1;
    if (may_unlink(ctx, entry))
        disturb(t, ctx->di);
}

/* The head of the container as the traversal finds it. Returns false when it cannot be read. */
static __always_inline bool begin_traversal(struct lookup *l)
{
    bool failed =
        bpf_probe_read_user(&l->head, sizeof(l->head), (void *)l->container) &&
        bpf_probe_read_user(&l->head, offsetof(struct container_head, more), (void *)l->container);
    if (failed)
        l->head.v_table = 0;
    if (l->entry == ENTRY_FIND || l->entry == ENTRY_WEAKPROXY_FIND)
        l->callback = l->head.cmp_fn;
    else if (l->entry == ENTRY_UNLINK)
        l->callback = MATCH_BY_ADDRESS;
    l->phase = PHASE_TRAVERSING;
    return !failed;
}

/* The flags with which the entry function calls traverse_first. */
static __always_inline u32 traversal_flags(struct lookup *l)
{
    if (l->entry == ENTRY_WEAKPROXY_FIND)
        return l->passed_flags | OBJ_NOLOCK; /* it has locked the container itself */
    if (l->entry != ENTRY_UNLINK)
        return l->passed_flags;
    return (l->passed_flags & ~OBJ_SEARCH_MASK) | OBJ_UNLINK | OBJ_NODATA | OBJ_SEARCH_OBJECT;
}

/* Keep where this traversal has its frame, or compare it with what is known. */
static __always_inline void learn_frame(struct lookup *l)
{
    u32 entry = l->entry;
    struct traversal_frame *f = traversal_frames.lookup(&entry);
    if (!f)
        return;
    u64 traversal_bytes = l->entry_sp - l->traversal_sp, state_bytes = l->entry_sp - l->state;
    if (!f->agreed && !f->differed) {
        f->traversal_bytes = traversal_bytes;
        f->state_bytes = state_bytes;
    }
    bool fits = f->traversal_bytes == traversal_bytes && f->state_bytes == state_bytes &&
                l->flags == traversal_flags(l);
    __sync_fetch_and_add(fits ? &f->agreed : &f->differed, 1);
}

/* traverse_first has no probe: recognize the traversal that this lookup will make by the frame that all of
 * its kind had. The container's head is read before it is locked, so it may have changed when the
 * traversal ends, and then the count is not verified. */
static __always_inline void predict_traversal(struct lookup *l)
{
    u32 entry = l->entry;
    struct traversal_frame *f = traversal_frames.lookup(&entry);
    l->flags = traversal_flags(l);
    if (!begin_traversal(l)) {
        l->phase = PHASE_ENTERED; /* it will see that this is no container, too */
        return;
    }
    if (!f || !f->agreed || f->differed)
        return;
    l->is_predicted = 1;
    l->traversal_sp = l->entry_sp - f->traversal_bytes;
    l->state = l->entry_sp - f->state_bytes;
}

/* Whether the entry function was entered by another one on behalf of the same lookup. */
static __always_inline bool is_inner(struct lookup *l, struct lookup *outer)
{
    bool is_before = outer->phase == PHASE_ENTERED ||
                     (outer->phase == PHASE_TRAVERSING && l->entry_sp > outer->traversal_sp);
    return is_before && outer->container == l->container && outer->argument == l->argument;
}

/* An entry function was entered. */
static __always_inline void enter(struct pt_regs *ctx, struct control *c, struct window_state *w,
                                  u32 entry, u32 stack_bytes)
{
    if (!admit(c, w, bpf_ktime_get_ns())) {
        mark_inner_unseen(ctx, this_thread(), c->window, entry);
        return;
    }
    count_lookup(LOOKUPS_FIRED);
    struct thread *t = this_thread_or_new();
    if (!t) {
        count_lookup(LOOKUPS_THREADS);
        return;
    }
    u64 sp = ctx->sp + stack_bytes;
    drop_ended(t, c->window, sp + 1);
    struct lookup *outer = top_lookup(t);
    if (t->depth >= MAX_DEPTH) {
        count_lookup(LOOKUPS_DEPTH);
        mark_inner_unseen(ctx, t, c->window, entry);
        return;
    }
    struct lookup *l = lookup_at(t, t->depth);
    __builtin_memset(l, 0, sizeof(*l));
    l->entry_sp = sp;
    l->entry_bp = ctx->bp;
    l->entry = entry;
    l->window = c->window;
    if (read_arguments(ctx, l)) {
        count_lookup(LOOKUPS_UNREADABLE);
        return;
    }
    if (outer && is_inner(l, outer)) {
        count_lookup(LOOKUPS_INNER);
        return;
    }
    if (PREDICTS && c->predicts)
        predict_traversal(l);
    l->has_return = needs_return(c, l);
    t->depth++;
    __sync_fetch_and_add(&w->admitted, 1);
    __sync_fetch_and_add(&w->in_flight, 1);
    l->started_ns = bpf_ktime_get_ns();
}

/* Whether a call with this stack pointer is made by the traversal of this lookup itself. */
static __always_inline bool is_own_call(struct lookup *l, u64 sp)
{
    return l->traversal_sp - sp + SAME_TRAVERSAL_BYTES <= 2 * SAME_TRAVERSAL_BYTES;
}

static __always_inline void traversal_first(struct pt_regs *ctx, struct lookup *l, u64 stack_bytes)
{
    if (l->phase != PHASE_ENTERED || l->container != ctx->di || l->argument != ctx->dx)
        return;
    l->flags = ctx->si;
    l->state = ctx->cx;
    l->traversal_sp = ctx->sp + stack_bytes + 8; /* before the call pushed its return address */
    begin_traversal(l);
    learn_frame(l);
}
