/* How the comparisons of a traversal that has just ended are counted: by which rule, and the
 * checks that a count has to pass. */
#pragma once

/* 1 if the lookup took the object of the node where it ended out of the container. */
static __always_inline u32 takes_end_node(struct lookup *l)
{
    return (l->flags & OBJ_UNLINK) && l->end_node && !l->end_object;
}

/* The number of elements now; -1 when it cannot be read. */
static __always_inline s64 elements_now(struct lookup *l)
{
    u32 elements = 0;
    if (bpf_probe_read_user(&elements, 4, (void *)(l->container + ELEMENTS_OFFSET)))
        return -1;
    return elements;
}

/* Whether the number of elements is what the traversal made of it: then no node came or went
 * meanwhile, unless its own callback saw to both. A lookup that unlinks every match says itself how
 * many it took. */
static __always_inline bool unchanged(struct lookup *l)
{
    s64 elements = elements_now(l);
    if (elements < 0)
        return false;
    l->unlinked = l->head.elements - elements;
    if (l->is_disturbed)
        return false;
    if ((l->flags & OBJ_UNLINK) && (l->flags & OBJ_MULTIPLE))
        return elements <= l->head.elements;
    return l->unlinked == takes_end_node(l);
}

static __always_inline u32 walk_verdict(struct walk *walk)
{
    if (walk->stop & STOP_USED_UP)
        return walk->end_node ? CONTRADICTED_END : VERIFIED;
    if (walk->stop & STOP_FAILED)
        return UNVERIFIED_MEMORY;
    if (walk->stop & STOP_FOREIGN)
        return CONTRADICTED_NODE;
    return walk->stop ? VERIFIED : TRUNCATED_WALK;
}

static __always_inline void finish_walk(struct lookup *l, struct walk *walk)
{
    l->comparisons = walk->comparisons;
    l->verdict = walk_verdict(walk);
    if (l->verdict == VERIFIED && !unchanged(l))
        l->verdict = UNVERIFIED_CHANGE;
    /* Nodes that were unlinked are no longer there to be counted, but for the last one. */
    l->comparisons += l->unlinked - takes_end_node(l);
}

/* Decide at random whether a walk of this many expected nodes fits the budget. */
static __always_inline bool worth_walking(struct control *c, u64 nodes)
{
    u64 cost = nodes * c->node_ns;
    if (cost <= c->walk_allowance_ns)
        return true;
    return (u64)bpf_get_prandom_u32() * (cost >> 10) < (c->walk_allowance_ns << 22);
}

/* The comparisons of a lookup that found nothing among so many elements. */
static __always_inline void compare_all(struct lookup *l, u64 elements)
{
    l->comparisons = elements;
    l->verdict = unchanged(l) ? VERIFIED : UNVERIFIED_CHANGE;
}

/* The number of buckets of a hash container, which never changes; 0 when it could not be read. */
static __always_inline u32 bucket_count(struct lookup *l, struct layout *layout)
{
    u32 buckets = 0, at = layout->bucket_count_offset;
    u32 word = (at - (u32)offsetof(struct container_head, more)) / 4;
    asm volatile("" : "+r"(word)); /* verifier: else the compiler drops the mask that it proves */
    if (word < HEAD_WORDS)
        return l->head.more[word & (HEAD_WORDS - 1)];
    bpf_probe_read_user(&buckets, sizeof(buckets), (void *)(l->container + at));
    return buckets;
}

/* Hash or list, no sort function in play: prepare a walk, or count without one.
 * Returns the program that walks, 0 if none has to. */
static __always_inline u32 plan_hash(struct control *c, struct thread *t, struct lookup *l,
                                     struct layout *layout, struct traversal_state *state)
{
    struct walk *walk = &t->walk;
    u32 search = l->flags & OBJ_SEARCH_MASK;
    bool keyed = search == OBJ_SEARCH_KEY || search == OBJ_SEARCH_OBJECT;
    u32 buckets = l->buckets;
    if ((s32)buckets <= 0) {
        l->verdict = UNVERIFIED_MEMORY;
        return 0;
    }
    bool whole = !keyed || buckets == 1;
    if (l->phase == PHASE_EXHAUSTED && whole) {
        compare_all(l, l->head.elements);
        return 0;
    }
    u64 expected = l->head.elements / (whole ? 1 : buckets) + 1;
    u32 bucket = 0;
    if (!whole)
        bucket = l->end_node ? l->end_bucket : state->bucket_first;
    else if (l->flags & OBJ_DESCENDING)
        bucket = buckets - 1;
    if (bucket >= buckets) {
        l->verdict = CONTRADICTED_NODE;
        return 0;
    }
    walk->heads_left = whole ? buckets : 1;
    walk->forward = !(l->flags & OBJ_DESCENDING);
    walk->head_step = l->flags & OBJ_DESCENDING ? -(u64)layout->bucket_bytes : layout->bucket_bytes;
    walk->head = l->container + layout->buckets_offset + (u64)bucket * layout->bucket_bytes -
                 offsetof(struct node, next);
    walk->end_node = l->end_node;
    walk->container = l->container;
#if HAS_CHECKPOINTS
    struct window_state *w = get_window();
    bool is_fit = expected >= CHECKPOINT_LEAST && walk->heads_left == 1 && walk->forward &&
                  !(l->flags & OBJ_UNLINK);
    s64 elements = is_fit ? elements_now(l) : -1;
    if (w && elements >= 0) {
        u32 plan =
            plan_checkpoints(c, w, &t->checkpoint_walk, l->container, bucket, elements, expected);
        if (plan == CHECKPOINT_MAKE)
            return PROGRAM_MAKE_CHECKPOINTS;
        if (plan == CHECKPOINT_USE) {
            if (l->end_node)
                return PROGRAM_USE_CHECKPOINTS;
            compare_all(l, t->checkpoint_walk.chain.length);
            return 0;
        }
        if (plan == CHECKPOINT_LATER) {
            __sync_fetch_and_add(&w->put_off, 1);
            l->verdict = UNVERIFIED_WALK;
            return 0;
        }
    }
#endif
    if (!worth_walking(c, expected)) {
        l->verdict = UNVERIFIED_WALK;
        return 0;
    }
    return PROGRAM_WALK;
}

/* Sorted containers and red-black trees: the sort and compare functions have probes of their own. */
static __always_inline void count_trapped(struct lookup *l)
{
    u64 sort_fn = l->head.sort_fn, callback = l->callback;
    l->verdict = UNVERIFIED_RULE;
    if (!trapped_functions.lookup(&sort_fn) || !trapped_functions.lookup(&callback))
        wanted_functions.update(&callback, &sort_fn);
    if (!trapped_functions.lookup(&sort_fn))
        return;
    if (l->inner_unseen || !trapped_functions.lookup(&callback))
        return;
    l->comparisons = l->trapped_comparisons;
    l->verdict = VERIFIED;
    if ((l->flags & OBJ_UNLINK) && (l->flags & OBJ_MULTIPLE))
        unchanged(l); /* how many it took is compared with what it returns */
}

/* Red-black tree, all nodes in order: prepare a walk, or count without one. */
static __always_inline u32 plan_tree(struct control *c, struct thread *t, struct lookup *l,
                                     struct layout *layout)
{
    if (l->phase == PHASE_EXHAUSTED) {
        compare_all(l, l->head.elements);
        /* What it took out has balanced the tree anew: in these orders it passes over some, then. */
        if (l->verdict == VERIFIED && l->unlinked && (l->flags & OBJ_ORDER_TREE))
            l->verdict = UNVERIFIED_RULE;
        return 0;
    }
    l->verdict = UNVERIFIED_RULE;
    if (l->flags & OBJ_ORDER_TREE)
        return 0;
    if (!layout->root_offset) { /* learnt from a tree that was empty: learn it from this one */
        unknown_v_tables.update(&l->head.v_table, &l->container);
        l->verdict = UNVERIFIED_LAYOUT;
        return 0;
    }
    l->verdict = UNVERIFIED_WALK;
    if (!worth_walking(c, (l->head.elements + 1) / 2))
        return 0;
    l->verdict = UNVERIFIED_MEMORY;
    if (bpf_probe_read_user(&t->tree_walk.next, 8, (void *)(l->container + layout->root_offset)))
        return 0;
    t->tree_walk.depth = 0;
    t->tree_walk.descending = !!(l->flags & OBJ_DESCENDING);
    t->walk.end_node = l->end_node;
    t->walk.container = l->container;
    return PROGRAM_WALK_TREE;
}

/* The traversal has just ended. Returns the program that walks, 0 if none has to. */
static __always_inline u32 plan_count(struct control *c, struct thread *t, struct lookup *l)
{
    struct traversal_state state = {};
    u64 v_table = l->head.v_table;
    struct layout *layout = layouts.lookup(&v_table);
    if (layout && layout->kind == KIND_HASH)
        l->buckets = bucket_count(l, layout);
    l->verdict = UNVERIFIED_START;
    if (!END_SITES)
        return 0; /* whether the traversal ended at a node cannot be known */
    /* How many a lookup for several has unlinked could not be distinguished from what others linked and
     * unlinked before it had the lock. */
    if (l->is_predicted && !(~l->flags & (OBJ_UNLINK | OBJ_MULTIPLE)))
        return 0;
    if (!layout) {
        unknown_v_tables.update(&v_table, &l->container);
        l->verdict = UNVERIFIED_LAYOUT;
        return 0;
    }
    bool is_tree = layout->kind == KIND_RBTREE;
    if ((l->flags & OBJ_SEARCH_MASK) && l->head.sort_fn &&
        !(is_tree && (l->flags & OBJ_ORDER_TREE))) {
        count_trapped(l);
        return 0;
    }
    l->sort_calls = 0; /* others than its own: of lookups inside it that are not followed */
    __builtin_memset(&t->walk, 0, sizeof(t->walk));
    if (is_tree)
        return plan_tree(c, t, l, layout);
    if (!l->end_node && (bpf_probe_read_user(&state, sizeof(state), (void *)l->state) ||
                         state.argument != l->argument || state.flags != l->flags))
        return 0;
    return plan_hash(c, t, l, layout, &state);
}
