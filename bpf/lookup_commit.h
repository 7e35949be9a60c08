/* How a lookup ends: sums, histograms and its call stack. */
#pragma once

static __always_inline u32 slot_of(u64 value)
{
    if (value < EXACT_SLOTS)
        return value;
    u32 exponent = 0;
    u64 rest = value;
#pragma clang loop unroll(full)
    for (int shift = 32; shift; shift >>= 1) {
        if (rest >> shift) {
            rest >>= shift;
            exponent += shift;
        }
    }
    return EXACT_SLOTS + (exponent - 7) * OCTAVE_SLOTS + ((value >> (exponent - 5)) & 31);
}

static __always_inline bool add_to_histogram(u64 group, u32 metric, u64 value)
{
    struct histogram_key key = {.group = group, .metric = metric, .slot = slot_of(value)};
    u64 zero = 0;
    u64 *count = histograms.lookup_or_try_init(&key, &zero);
    if (!count)
        return false;
    __sync_fetch_and_add(count, 1);
    return true;
}

/* Keep the larger value. Several CPUs may store at once, so the result is looked at again. */
static __always_inline void keep_max(u64 *max, u64 value)
{
#pragma clang loop unroll(full)
    for (int i = 0; i < 3; i++) {
        if (*(volatile u64 *)max >= value)
            return;
        *(volatile u64 *)max = value;
    }
}

static __always_inline struct group *group_of(struct lookup *l)
{
    struct group_key key = group_key(l);
    struct group *group = groups.lookup(&key);
    if (group)
        return group;
    struct group fresh = {
        .id = new_id(), .v_table = l->head.v_table, .elements_first = l->head.elements};
    groups.insert(&key, &fresh);
    return groups.lookup(&key);
}

static __always_inline void add_verified(struct group *group, struct lookup *l)
{
    __sync_fetch_and_add(&group->comparisons_total, l->comparisons);
    keep_max(&group->comparisons_max, l->comparisons);
    __sync_fetch_and_add(&group->sort_calls_total, l->sort_calls);
    keep_max(&group->sort_calls_max, l->sort_calls);
#if VERIFY
    /* The last node that is visited has no next one, unless the traversal ends by finding none. */
    u64 visited = l->next_calls + (l->phase == PHASE_ENDED);
    __sync_fetch_and_add(visited == l->comparisons ? &group->agreed : &group->disagreed, 1);
#endif
}

/* Aggregate a finished lookup. Returns false when there was no room for it. */
static __always_inline bool aggregate(struct lookup *l, u64 duration, bool hit)
{
    struct group *group = group_of(l);
    if (!group || !add_to_histogram(group->id, METRIC_DURATION, duration))
        return false;
    if (l->verdict == VERIFIED) {
        if (!add_to_histogram(group->id, METRIC_COMPARISONS, l->comparisons))
            return false;
        if (l->head.sort_fn && !add_to_histogram(group->id, METRIC_SORT_CALLS, l->sort_calls))
            return false;
        add_verified(group, l);
    }
    __sync_fetch_and_add(&group->verdicts[l->verdict < VERDICT_COUNT ? l->verdict : 0], 1);
    __sync_fetch_and_add(hit ? &group->hits : &group->misses, 1);
    __sync_fetch_and_add(&group->duration_total_ns, duration);
    keep_max(&group->duration_max_ns, duration);
    group->elements_last = l->head.elements;
    return true;
}

/* Choose at random whether to unwind; where counting took far longer, always. Returns the weight, 0: no. */
static __always_inline u64 stack_weight(struct control *c, struct lookup *l)
{
    if (!c->stack_share)
        return 0;
    if (c->stack_share == 1 || l->own_ns >= 8 * c->stack_ns)
        return 1;
    return bpf_get_prandom_u32() % c->stack_share ? 0 : c->stack_share;
}

/* The top lookup is over. */
static __always_inline void commit(struct pt_regs *ctx, struct control *c, struct thread *t,
                                   struct lookup *l, u64 now, bool hit)
{
    u64 taken = now - l->started_ns, own = l->own_ns + l->has_return * c->return_trap_ns;
    leave_flight();
    t->depth--;
    if ((l->flags & OBJ_UNLINK) && (l->end_node || (l->flags & OBJ_MULTIPLE)))
        disturb(t, l->container);
    if (l->phase == PHASE_ENTERED) {
        count_lookup(LOOKUPS_BARE);
        return;
    }
    if (!aggregate(l, taken > own ? taken - own : 0, hit)) {
        count_lookup(LOOKUPS_GROUPS);
        return;
    }
    count_lookup(l->verdict == TRUNCATED_WALK ? LOOKUPS_TRUNCATED : LOOKUPS_KEPT);
    u64 weight = stack_weight(c, l);
    if (!weight)
        return;
    t->stack_key.container = l->container;
    t->stack_key.comparator = l->head.cmp_fn;
    t->stack_key.file = CALL_SITE_ARGUMENTS ? l->file : 0;
    t->stack_key.entry = l->entry;
    t->stack_key.buckets = l->buckets;
    t->stack_weight.lookups = weight;
    t->stack_weight.comparisons = weight * l->comparisons;
    unwind_begin_caller(&t->unwind, l->return_address, l->entry_sp + 8, l->entry_bp);
    lookup_programs.call(ctx, PROGRAM_UNWIND);
    count_lookup(LOOKUPS_STACKLESS);
}

int lookup_unwind(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    if (!t)
        return 0;
    if (unwind_some(&t->unwind) == UNWIND_MORE) {
        lookup_programs.call(ctx, PROGRAM_UNWIND);
        unwind_give_up(&t->unwind);
    }
    struct lookup_stack zero = {};
    struct unwind_stack *stack = &t->unwind.stack;
    stack->time_ns = 0;
    unwind_name(&t->unwind);
    t->stack_key.stack = stack->key;
    t->stack_key.check = stack->check;
    struct lookup_stack *sum = lookup_stacks.lookup_or_try_init(&t->stack_key, &zero);
    if (!sum || unwind_send(stack)) {
        count_lookup(LOOKUPS_STACKLESS);
        return 0;
    }
    count_lookup(LOOKUPS_STACKS);
    __sync_fetch_and_add(&sum->lookups, t->stack_weight.lookups);
    __sync_fetch_and_add(&sum->comparisons, t->stack_weight.comparisons);
    return 0;
}

/* Whether what was returned is what the traversal ended at. */
static __always_inline bool result_fits(struct lookup *l, u64 result)
{
    if (l->entry == ENTRY_WEAKPROXY_FIND)
        return true; /* the object behind the proxy; see is_searched_once */
    if (!result)
        return l->phase == PHASE_EXHAUSTED || l->end_node; /* a callback may stop without a match */
    return l->phase == PHASE_ENDED && (takes_end_node(l) || result == l->end_object);
}

/* How many objects a lookup for several returned: struct ao2_iterator begins with the container that
 * holds them. */
static __always_inline u32 returned_objects(u64 iterator)
{
    u64 container = 0;
    u32 elements = 0;
    bpf_probe_read_user(&container, sizeof(container), (void *)iterator);
    bpf_probe_read_user(&elements, sizeof(elements), (void *)(container + ELEMENTS_OFFSET));
    return elements;
}

/* Compare the count with what the lookup returned. Returns whether it found something. */
static __always_inline bool check_result(struct lookup *l, u64 result)
{
    bool fits = true, hit = result != 0;
    if (l->passed_flags & OBJ_NODATA)
        return l->end_node != 0; /* returns nothing */
    if (l->flags & OBJ_MULTIPLE) {
        u32 objects = result ? returned_objects(result) : 0;
        hit = objects != 0;
        fits = objects <= l->comparisons &&
               (!(l->flags & OBJ_UNLINK) || l->is_disturbed || objects == l->unlinked);
    } else {
        fits = result_fits(l, result);
    }
    if (l->verdict == VERIFIED && !fits)
        l->verdict = CONTRADICTED_RESULT;
    return hit;
}

/* Whether ao2_weakproxy_find needed but one traversal: it goes on when the object is gone. */
static __always_inline bool is_searched_once(struct thread *t, struct lookup *l)
{
    return l->entry != ENTRY_WEAKPROXY_FIND || !l->end_node ||
           (t->stage == STAGE_RETURN && t->result);
}

/* The last program of a lookup. */
int lookup_commit(struct pt_regs *ctx)
{
    struct control *c = get_control();
    struct thread *t = this_thread();
    struct lookup *l = top_lookup(t);
    if (!c || !l)
        return 0;
    bool hit = l->end_node != 0;
    if (t->stage == STAGE_RETURN && l->entry != ENTRY_UNLINK && l->phase != PHASE_ENTERED)
        hit = check_result(l, t->result);
    if (l->verdict == VERIFIED && !is_searched_once(t, l))
        l->verdict = UNVERIFIED_RULE;
    commit(ctx, c, t, l, t->now, hit);
    return 0;
}
