/* Checkpoints: a long chain is walked whole once in a window, and then a few nodes for each lookup.
 *
 * The walk notes the position of about one node in 64. A later lookup that ended at
 * a node walks from there to the next noted one, and knows its own position by the difference; one
 * that found nothing compared with the whole chain, whose length is known.
 *
 * That holds as long as the container is what it was. Elements come in through its method `insert`
 * only, which has a probe and is called with the container locked for writing
 * (main/astobj2_container.c, internal_ao2_link); so when none came in and there are as many as
 * then, none went out either. Both are looked at by each lookup while the container is locked, and
 * everything is forgotten with the window, because then the probe on `insert` goes away.
 */
#pragma once

#define CHECKPOINT_STRIDE_BITS 6
#define CHECKPOINTS            65536
#define CHECKPOINT_CHAINS      4096
#define INSERT_SLOTS           4096 /* a power of two; containers that share one only walk more often */
/* Expected nodes of a chain from which on checkpoints save more than they cost. */
#define CHECKPOINT_LEAST 512

struct checkpoint_key {
    u64 node;
    u64 chain;
};

BPF_TABLE("lru_hash", struct chain_key, struct chain, chains, CHECKPOINT_CHAINS);
BPF_TABLE("lru_hash", struct checkpoint_key, u64, checkpoints, CHECKPOINTS);
BPF_ARRAY(inserts, u64, INSERT_SLOTS);

/* 2^64 divided by the golden ratio: neighbouring addresses end far from each other. */
#define SPREAD(address) (((address) >> 4) * 0x9e3779b97f4a7c15ULL)

static __always_inline bool is_checkpoint(u64 node)
{
    return SPREAD(node) >> (64 - CHECKPOINT_STRIDE_BITS) == 0;
}

static __always_inline u64 *insert_count(u64 container)
{
    u32 slot = SPREAD(container) >> 52 & (INSERT_SLOTS - 1);
    return inserts.lookup(&slot);
}

/* The container's method `insert` was entered. */
static __always_inline void inserted(u64 container)
{
    u64 *count = insert_count(container);
    if (count)
        __sync_fetch_and_add(count, 1);
}

enum checkpoint_plan { CHECKPOINT_NONE, CHECKPOINT_MAKE, CHECKPOINT_USE, CHECKPOINT_LATER };

/* Decide what to do with a chain of this expected length. */
static __always_inline u32 plan_checkpoints(struct control *c, struct window_state *w,
                                            struct checkpoint_walk *walk, u64 container, u32 bucket,
                                            u32 elements, u64 expected)
{
    u64 *count = insert_count(container);
    if (!count || !c->window)
        return CHECKPOINT_NONE;
    u64 now_inserted = *(volatile u64 *)count;
    __builtin_memset(walk, 0, sizeof(*walk));
    walk->key.container = container;
    walk->key.bucket = bucket;
    struct chain *known = chains.lookup(&walk->key);
    if (known && known->id && known->window == c->window) {
        if (known->inserts == now_inserted && known->elements == elements) {
            __sync_fetch_and_add(&known->uses, 1);
            walk->chain = *known;
            return CHECKPOINT_USE;
        }
        if (!known->uses) { /* changed before it was of use: not twice in a row */
            known->id = 0;
            return CHECKPOINT_NONE;
        }
    }
    u64 cost = expected * c->node_ns;
    if (w->spent_ns + cost + (cost >> 3) > c->allowance_ns)
        return CHECKPOINT_LATER;
    walk->chain.id = new_id();
    walk->chain.window = c->window;
    walk->chain.inserts = now_inserted;
    walk->chain.elements = elements;
    return CHECKPOINT_MAKE;
}

/* Walk the whole chain and note positions. Returns why the walk ended, see STOP_... */
static __always_inline u64 make_checkpoints(struct checkpoint_walk *kept, struct walk *walk,
                                            u64 end_node)
{
    struct checkpoint_key key = {.chain = kept->chain.id};
    u64 position = 0, stop = 0;
    REPEAT(WALK_STEPS)
    {
        u64 at = walk->node;
        stop = step(walk);
        if (stop)
            break;
        if (at && at == end_node)
            position = walk->comparisons;
        if (at && is_checkpoint(at)) {
            u64 here = walk->comparisons;
            key.node = at;
            checkpoints.update(&key, &here);
        }
    }
    kept->position = position;
    return stop;
}

/* Walk from the end node to the next noted one. Returns why the walk ended, see STOP_... */
static __always_inline u64 use_checkpoints(struct checkpoint_walk *kept, struct lookup *l)
{
    struct checkpoint_key key = {.chain = kept->chain.id};
    u64 stop = 0, base = 0, at = l->end_node;
    /* verifier: a zero from memory; of one that it knows it would follow every sum */
    u64 passed = kept->position;
    REPEAT(WALK_STEPS)
    {
        struct node node;
        if (!at) { /* behind the last node: all of them were passed */
            base = kept->chain.length;
            stop = STOP_FOUND;
            break;
        }
        if (bpf_probe_read_user(&node, sizeof(node), (void *)at)) {
            stop = STOP_FAILED;
            break;
        }
        if (node.container != l->container) {
            stop = STOP_FOREIGN;
            break;
        }
        passed += (is_zero(node.object) | is_zero(at ^ l->end_node)) ^ 1;
        if (is_checkpoint(at)) {
            key.node = at;
            u64 *noted = checkpoints.lookup(&key);
            if (noted) {
                base = *noted;
                stop = STOP_FOUND;
                break;
            }
        }
        at = node.next;
    }
    kept->position = base > passed ? base - passed : 0;
    return stop;
}
