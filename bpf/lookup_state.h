/* What is kept of a lookup while it goes on, and what lies in the target's memory. */
#pragma once

/* The plan of probes decides (profiler/probes/planner.py), 0 or 1:
 *   END_SITES        where traversals give up their last node has a probe
 *   UNLOCK_SITES     where traversals unlock the container has one
 *   EXHAUSTED_SITES  all places where one goes on that has visited every node have one
 *   INSERT_SITES     the place where elements come into hash containers has one
 *   RETURNS          the entry functions' returns may be trapped in this target
 *   VERIFY           every step of a traversal is trapped too
 *   CALL_SITE_ARGUMENTS  the entry functions get their caller passed (Asterisk 14)
 */

/* enum search_flags, Asterisk include/asterisk/astobj2.h */
#define OBJ_UNLINK        0x01
#define OBJ_NODATA        0x02
#define OBJ_MULTIPLE      0x04
#define OBJ_NOLOCK        0x10
#define OBJ_SEARCH_MASK   0xe0
#define OBJ_SEARCH_OBJECT 0x20
#define OBJ_SEARCH_KEY    0x40
#define OBJ_DESCENDING    0x100 /* also set in OBJ_ORDER_POST; hash containers test this bit */
#define OBJ_ORDER_TREE    0x200 /* set in OBJ_ORDER_PRE and OBJ_ORDER_POST */

/* A call instruction inside a traversal pushes at most this much more than its traverse_first call:
 * deeper stack pointers belong to a traversal inside a callback. */
#define SAME_TRAVERSAL_BYTES 64
/* Steps that one program takes. With the kernel's open-coded iterators (Linux 6.4) one program is
 * enough. Without them, the verifier follows every round of a loop (5000 are half of what it allows)
 * and the walk goes on by tail calls. The kernel allows 33 in a row; the programs that come after a
 * walk need some of them, and a call beyond the limit fails without a word. */
#ifndef WALK_STEPS
#if WALK_ITERATOR
#define WALK_STEPS (1 << 21)
#define WALK_CALLS 0
#else
#define WALK_STEPS 5000
#define WALK_CALLS 28
#endif
#endif
/* Of a walk through a tree: two for each node, and more ways through them for the verifier. Without
 * iterators the loader says how many this kernel's verifier follows. */
#ifndef TREE_STEPS
#define TREE_STEPS (2 * WALK_STEPS)
#endif
/* A red-black tree of N nodes is at most 2 log2(N + 1) deep: enough for two thousand million. */
#define TREE_DEPTH 64

/* A lookup goes through several programs, so that each stays small for the verifier. */
enum step_program {
    PROGRAM_COUNT,
    PROGRAM_WALK,
    PROGRAM_COMMIT,
    PROGRAM_UNWIND,
    PROGRAM_WALK_TREE,
    PROGRAM_MAKE_CHECKPOINTS,
    PROGRAM_USE_CHECKPOINTS,
    PROGRAMS
};

/* A window may do without a probe on traverse_first. */
#define PREDICTS (EXHAUSTED_SITES && !VERIFY)

/* Only iterators walk along chains for which checkpoints are worth it. */
#define HAS_CHECKPOINTS (INSERT_SITES && WALK_ITERATOR)

#define HEAD_WORDS      8  /* read with the head, a power of two */
#define ELEMENTS_OFFSET 28 /* in struct ao2_container, all builds */

enum phase { PHASE_ENTERED, PHASE_TRAVERSING, PHASE_ENDED, PHASE_EXHAUSTED };

/* The head of struct ao2_container and struct ao2_container_hash (release layout). */
struct container_head {
    u64 v_table;
    u64 sort_fn;
    u64 cmp_fn;
    u32 options;
    u32 elements;
    u32 more[HEAD_WORDS]; /* what follows differs; a hash container's number of buckets is there */
};

/* struct hash_bucket_node; struct rbtree_node shares the first three members. */
struct node {
    u64 object; /* 0: emptied, but still linked because somebody stands on it */
    u64 container;
    u64 is_linked;
    u64 next;
    u64 previous;
    u32 bucket;
    u32 unused;
};

/* The head of struct rbtree_node. */
struct tree_node {
    u64 object;
    u64 container;
    u64 is_linked;
    u64 parent;
    u64 left;
    u64 right;
};

/* struct hash_traversal_state */
struct traversal_state {
    u64 sort_fn;
    u64 argument;
    u32 bucket_first;
    u32 bucket_last;
    u32 flags;
    u32 descending; /* bit 0 */
};

struct lookup {
    u64 entry_sp; /* points to the return address */
    u64 entry_bp;
    u64 return_address;
    u64 window;
    u64 container;
    u64 argument;
    u64 callback; /* what is called for each node: cmp_fn, the caller's, or MATCH_BY_ADDRESS */
    u64 file;
    u64 function;
    u64 started_ns;
    u64 own_ns; /* our own time between start and end */
    u64 traversal_sp;
    u64 state; /* struct hash_traversal_state in the target */
    u64 end_node;
    u64 end_object;
    u64 comparisons;
    struct container_head head;
    u32 buckets; /* 0: not a hash container, or not known */
    u32 end_bucket;
    u32 line;
    u32 flags; /* as the traversal sees them, once it has begun */
    u32 passed_flags;
    u32 entry;
    u32 phase;
    u32 sort_calls;
    u32 trapped_comparisons;
    u32 verdict;
    u32 has_return;
    u32 is_predicted; /* no probe saw its traversal begin */
    u32 inner_unseen; /* a lookup inside this one was not followed */
    u32 is_disturbed; /* its own callback took elements out of the container, or put some in */
    u32 unlinked;     /* elements that it took out of the container */
    u64 callback_sp;  /* stack pointer at the entry of `callback` */
    u64 next_calls;   /* of traverse_next, only with VERIFY */
};

/* Why a walk came to an end; the first that holds, from the top. */
#define STOP_USED_UP 1
#define STOP_FAILED  2
#define STOP_FOREIGN 4
#define STOP_FOUND   8

struct walk {
    u64 node;      /* where the walk stands; 0: at the head of the next bucket */
    u64 head;      /* address that makes the next bucket's head readable as a node */
    u64 head_step; /* to the bucket after that, two's complement */
    u64 heads_left;
    u64 forward; /* 1: follow `next`; 0: follow `previous` */
    u64 end_node;
    u64 container;
    u64 comparisons;
    u32 calls; /* tail calls so far */
    u32 stop;  /* STOP_...; 0: not at an end */
};

/* A node of a tree whose first subtree is being walked. */
struct tree_ancestor {
    u64 address;
    u64 second; /* its other child */
    u64 full;
};

/* A walk in ascending or descending order that reads each node once. */
struct tree_walk {
    u64 next; /* root of the subtree to be walked next; 0: none */
    struct tree_ancestor ancestors[TREE_DEPTH];
    u32 depth;
    u32 descending;
};

struct chain_key {
    u64 container;
    u32 bucket;
    u32 unused;
};

/* What was true of a chain's container when its checkpoints were made. */
struct chain {
    u64 id; /* never 0; names the checkpoints */
    u64 window;
    u64 inserts;
    u64 elements;
    u64 length;
    u64 uses;
};

/* What a walk that makes or uses checkpoints needs to know; one for each thread. */
struct checkpoint_walk {
    struct chain_key key;
    struct chain chain;
    u64 position; /* of the end node, from 1; 0: it was not met */
};

/* A name that nothing else has; never 0. */
static __always_inline u64 new_id(void)
{
    return (u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
}

/* Which probe led to the programs that count and commit. */
enum stage { STAGE_END, STAGE_UNLOCK, STAGE_RETURN };
