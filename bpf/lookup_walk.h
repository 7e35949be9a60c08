/* Walks through chains and trees. */
#pragma once

/* Take up to WALK_STEPS steps. Returns whether the walk is over. */
static __always_inline bool walk_some(struct walk *kept)
{
    struct walk walk = *kept;
    u64 stop = 0;
    REPEAT(WALK_STEPS)
    {
        stop = step(&walk);
        if (stop)
            break;
    }
    walk.stop = stop;
    *kept = walk;
    return stop != 0;
}

static __always_inline struct tree_ancestor *ancestor_at(struct tree_walk *tree, u32 depth)
{
    asm volatile("" : "+r"(depth)); /* verifier: else the compiler drops the mask that it proves */
    return &tree->ancestors[depth & (TREE_DEPTH - 1)];
}

/* One step of a walk through a tree: down to a node, or from a node to its second subtree. */
static __always_inline u64 step_tree(struct tree_walk *tree, struct walk *walk)
{
    struct tree_node node;
    struct tree_ancestor *ancestor;
    u32 depth = tree->depth;
    if (tree->next) {
        if (depth >= TREE_DEPTH)
            return STOP_FOREIGN;
        if (bpf_probe_read_user(&node, sizeof(node), (void *)tree->next))
            return STOP_FAILED;
        if (node.container != walk->container)
            return STOP_FOREIGN;
        ancestor = ancestor_at(tree, depth);
        ancestor->address = tree->next;
        ancestor->second = tree->descending ? node.left : node.right;
        ancestor->full = node.object != 0;
        tree->next = tree->descending ? node.right : node.left;
        tree->depth = depth + 1;
        return 0;
    }
    if (!depth)
        return STOP_USED_UP;
    tree->depth = --depth;
    ancestor = ancestor_at(tree, depth);
    tree->next = ancestor->second;
    bool found = ancestor->address == walk->end_node;
    walk->comparisons += found || ancestor->full;
    return found ? STOP_FOUND : 0;
}

/* Take up to TREE_STEPS steps. Returns whether the walk is over. */
static __always_inline bool walk_tree_some(struct tree_walk *tree, struct walk *walk)
{
    u64 stop = 0;
    REPEAT(TREE_STEPS)
    {
        stop = step_tree(tree, walk);
        if (stop)
            break;
    }
    walk->stop = stop;
    return stop != 0;
}

static __always_inline void charge_walk(struct thread *t, struct lookup *l)
{
    struct window_state *w = get_window();
    u64 taken = bpf_ktime_get_ns() - t->walk_started_ns;
    l->own_ns += taken;
    t->now += taken; /* where the lookup ends here: what is own is a part of what was taken */
    if (w) {
        __sync_fetch_and_add(&w->walk_ns, taken);
        __sync_fetch_and_add(&w->spent_ns, taken);
    }
}
