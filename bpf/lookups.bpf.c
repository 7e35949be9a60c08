/* SPDX-License-Identifier: MIT
 *
 * Lookups in ao2 containers: which, from where, how long, and how many comparisons each made.
 *
 * A lookup is followed by four probes, none of them per comparison:
 *   lookup            entry and return of __ao2_find and its kin: who asks for what, and the result
 *   traversal_first   entry of the container's traverse_first: the traversal's own state, which
 *                     tells the bucket that Asterisk computed
 *   traversal_end     where the traversal gives up its last node: the node at which it ended. Does
 *                     not happen when every node was visited.
 *   traversal_unlock  where the traversal unlocks the container
 * The comparisons are counted by walking the same nodes in the target's memory, at traversal_end or
 * traversal_unlock while the container's lock is still held, so that nothing can have changed since
 * the comparisons were made. Traversals that do not lock (OBJ_NOLOCK: the caller holds the lock) and
 * visited every node are walked at the lookup's return.
 * Rules: Asterisk main/astobj2_container.c internal_ao2_traverse(), main/astobj2_hash.c
 * hash_ao2_find_first()/_next(), main/astobj2_rbtree.c rb_ao2_find_first()/_next(), 13 to 22.
 */
#include <uapi/linux/ptrace.h>
#include "kfuncs.h"
#include "wire.h"
#include "unwind.h"

#ifndef RETURNS
#define RETURNS 1 /* 0: the entry functions' returns must not be trapped in this target */
#endif

/* enum search_flags, Asterisk include/asterisk/astobj2.h */
#define OBJ_UNLINK 0x01
#define OBJ_NODATA 0x02
#define OBJ_MULTIPLE 0x04
#define OBJ_NOLOCK 0x10
#define OBJ_SEARCH_MASK 0xe0
#define OBJ_SEARCH_OBJECT 0x20
#define OBJ_SEARCH_KEY 0x40
#define OBJ_DESCENDING 0x100 /* also set in OBJ_ORDER_POST; hash containers test this bit */
#define OBJ_ORDER_MASK 0x300
#define OBJ_ORDER_TREE 0x200 /* set in OBJ_ORDER_PRE and OBJ_ORDER_POST */
#define CONTAINER_DUPS_MASK 0x06 /* AO2_CONTAINER_ALLOC_OPT_DUPS_MASK; 0: duplicates are allowed */

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
/* Of a walk through a tree: two for each node, and more ways through them for the verifier. */
#define TREE_STEPS (WALK_ITERATOR ? 2 * WALK_STEPS : WALK_STEPS / 5)
/* A red-black tree of N nodes is at most 2 log2(N + 1) deep: enough for two thousand million. */
#define TREE_DEPTH 64

/* What programs return that do not want the function's return. In a session that is 1; with 0 the
 * kernel takes the word at rsp for the return address, also in the middle of a function, and puts its
 * trampoline there (Linux 6.18, uprobe_multi_link_handler in kernel/trace/bpf_trace.c, handler_chain
 * in kernel/events/uprobes.c). Elsewhere it must be 0: kernels before 6.13 may hand it on as
 * UPROBE_HANDLER_REMOVE. */
#define NO_RETURN_PROBE SESSION

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

/* The place where elements come into hash containers has a probe, and a walk can be long enough. */
#ifndef INSERT_SITES
#define INSERT_SITES 0
#endif
#define HAS_CHECKPOINTS (INSERT_SITES && WALK_ITERATOR)

#define ELEMENTS_OFFSET 28 /* in struct ao2_container, all builds */

enum phase { PHASE_ENTERED, PHASE_TRAVERSING, PHASE_ENDED, PHASE_EXHAUSTED };

/* The head of struct ao2_container and struct ao2_container_hash (release layout). */
struct container_head {
    u64 v_table;
    u64 sort_fn;
    u64 cmp_fn;
    u32 options;
    u32 elements;
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
    u32 inner_unseen; /* a lookup inside this one was not followed */
    u32 unlinked;     /* elements that it took out of the container */
    u64 callback_sp;  /* stack pointer at the entry of `callback` */
    u64 next_calls;   /* of traverse_next, only with VERIFY */
};

/* Why a walk came to an end; the first that holds, from the top. */
#define STOP_USED_UP 1
#define STOP_FAILED 2
#define STOP_FOREIGN 4
#define STOP_FOUND 8

struct walk {
    u64 node;        /* where the walk stands; 0: at the head of the next bucket */
    u64 head;        /* address that makes the next bucket's head readable as a node */
    u64 head_step;   /* to the bucket after that, two's complement */
    u64 heads_left;
    u64 forward;     /* 1: follow `next`; 0: follow `previous` */
    u64 end_node;
    u64 container;
    u64 comparisons;
    u32 steps;
    u32 calls;       /* tail calls so far */
    u32 unused;
    u32 stop;        /* STOP_...; 0: not at an end */
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

/* Which probe led to the programs that count and commit. */
enum stage { STAGE_END, STAGE_UNLOCK, STAGE_RETURN };

static __always_inline u64 is_zero(u64 x);
static __always_inline u64 step(struct walk *walk);

#include "checkpoints.h"

struct thread {
    u32 depth;
    u32 stage; /* enum stage */
    u64 now;   /* when that probe was hit */
    u64 walk_started_ns;
    u64 result; /* of the lookup, in STAGE_RETURN */
    struct lookup lookups[MAX_DEPTH];
    struct walk walk;
    struct tree_walk tree_walk;
    struct checkpoint_walk checkpoint_walk;
    struct lookup_stack_key stack_key;
    struct lookup_stack stack_weight;
    struct unwind_state unwind;
};

BPF_ARRAY(control, struct control, 1);
BPF_ARRAY(window_state, struct window_state, 1);
BPF_RINGBUF_OUTPUT(window_stops, 1); /* a record wakes user space: the window's allowance is spent */
BPF_ARRAY(lookup_counters, u64, LOOKUP_COUNTER_COUNT);
BPF_ARRAY(empty_thread, struct thread, 1);
BPF_HASH(threads, u32, struct thread, THREADS);
BPF_HASH(layouts, u64, struct layout, 64);
BPF_HASH(unknown_v_tables, u64, u64, 64); /* v_table to the address of a container that has it */
BPF_HASH(trapped_functions, u64, u32, 1024); /* sort and compare functions with a probe on them */
BPF_HASH(wanted_functions, u64, u64, 256); /* callback to sort function: one has no probe */
BPF_HASH(groups, struct group_key, struct group, GROUPS);
BPF_HASH(histograms, struct histogram_key, u64, HISTOGRAMS);
BPF_HASH(lookup_stacks, struct lookup_stack_key, struct lookup_stack, GROUPS);
BPF_HASH(cookies, u64, u64, 1024); /* by probe address; only for kernels without cookies */
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

static __always_inline struct thread *this_thread(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    return threads.lookup(&tid);
}

static __always_inline struct thread *this_thread_or_new(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    struct thread *t = threads.lookup(&tid);
    if (t)
        return t;
    int zero = 0;
    struct thread *empty = empty_thread.lookup(&zero);
    if (!empty)
        return NULL;
    threads.update(&tid, empty);
    return threads.lookup(&tid);
}

static __always_inline struct lookup *lookup_at(struct thread *t, u32 index)
{
    asm volatile("" : "+r"(index)); /* verifier: else the compiler drops the mask that it proves */
    return &t->lookups[index & (MAX_DEPTH - 1)];
}

static __always_inline struct lookup *top_lookup(struct thread *t)
{
    return t->depth ? lookup_at(t, t->depth - 1) : NULL;
}

/* Take away the top lookup, which was not seen to return. */
static __always_inline void drop_top(struct thread *t, struct lookup *l)
{
    count_lookup(l->phase == PHASE_ENTERED ? LOOKUPS_BARE : LOOKUPS_UNFINISHED);
    leave_flight();
    t->depth--;
}

/* Drop lookups of earlier windows, and those whose stack the thread has already left. */
static __always_inline void settle(struct thread *t, u64 window, u64 sp)
{
#pragma clang loop unroll(disable)
    for (int i = 0; i < MAX_DEPTH; i++) {
        struct lookup *l = top_lookup(t);
        if (!l || (l->window == window && l->entry_sp >= sp))
            return;
        if (l->window != window)
            t->depth--; /* user space counted it when it closed that window */
        else
            drop_top(t, l);
    }
}

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

/* Asterisk 13: no file, line and function; the call site is the return address. */
static __always_inline void forget_call_site(struct lookup *l)
{
    l->file = 0;
    l->line = 0;
    l->function = l->return_address;
}

/* Nothing is returned to the caller, and traversal_unlock will see the end. */
static __always_inline bool needs_return(struct lookup *l)
{
    if (!RETURNS)
        return false;
    if (l->passed_flags & OBJ_NOLOCK)
        return true;
    return !(l->entry == ENTRY_UNLINK || (l->passed_flags & OBJ_NODATA)) || !UNLOCK_SITES;
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

/* The return probe puts a trampoline in the return address's place: let the unwinder see through. */
static __always_inline void keep_return_address(struct lookup *l)
{
    struct unwind_slot slot = {.address = l->entry_sp, .tid = (u32)bpf_get_current_pid_tgid()};
    return_addresses.insert(&slot, &l->return_address);
}

static __always_inline void forget_return_address(struct lookup *l)
{
    struct unwind_slot slot = {.address = l->entry_sp, .tid = (u32)bpf_get_current_pid_tgid()};
    return_addresses.delete(&slot);
}

/* Comparisons that a lookup makes unseen inside another one would be counted for that one. */
static __always_inline void mark_inner_unseen(struct thread *t, u64 window)
{
    struct lookup *outer = t ? top_lookup(t) : NULL;
    if (outer && outer->window == window)
        outer->inner_unseen = 1;
}

/* An entry function was entered. Returns whether its return must be seen. */
static __always_inline bool enter(struct pt_regs *ctx, struct control *c, struct window_state *w,
                                  u32 entry, u32 stack_bytes)
{
    if (!admit(c, w, bpf_ktime_get_ns())) {
        mark_inner_unseen(this_thread(), c->window);
        return false;
    }
    count_lookup(LOOKUPS_FIRED);
    struct thread *t = this_thread_or_new();
    if (!t) {
        count_lookup(LOOKUPS_THREADS);
        return false;
    }
    u64 sp = ctx->sp + stack_bytes;
    settle(t, c->window, sp + 1);
    struct lookup *outer = top_lookup(t);
    if (t->depth >= MAX_DEPTH) {
        count_lookup(LOOKUPS_DEPTH);
        mark_inner_unseen(t, c->window);
        return false;
    }
    struct lookup *l = lookup_at(t, t->depth);
    __builtin_memset(l, 0, sizeof(*l));
    l->entry_sp = sp;
    l->entry_bp = ctx->bp;
    l->entry = entry;
    l->window = c->window;
    if (read_arguments(ctx, l)) {
        count_lookup(LOOKUPS_UNREADABLE);
        return false;
    }
    if (outer && outer->phase == PHASE_ENTERED && outer->container == l->container &&
        outer->argument == l->argument) {
        count_lookup(LOOKUPS_INNER);
        return false;
    }
    if (!CALL_SITE_ARGUMENTS)
        forget_call_site(l);
    l->has_return = needs_return(l);
    if (l->has_return)
        keep_return_address(l);
    t->depth++;
    __sync_fetch_and_add(&w->admitted, 1);
    __sync_fetch_and_add(&w->in_flight, 1);
    l->started_ns = bpf_ktime_get_ns();
    return l->has_return;
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
    l->phase = PHASE_TRAVERSING;
    l->flags = ctx->si;
    l->state = ctx->cx;
    l->traversal_sp = ctx->sp + stack_bytes + 8; /* before the call pushed its return address */
    if (bpf_probe_read_user(&l->head, sizeof(l->head), (void *)l->container))
        l->head.v_table = 0;
    if (l->entry == ENTRY_FIND || l->entry == ENTRY_WEAKPROXY_FIND)
        l->callback = l->head.cmp_fn;
    else if (l->entry == ENTRY_UNLINK)
        l->callback = MATCH_BY_ADDRESS;
}

/* 1 when x is 0, without a jump: the verifier follows both sides of every jump in a loop. */
static __always_inline u64 is_zero(u64 x)
{
    u64 sign = -x;
    asm volatile("" : "+r"(sign)); /* verifier: else the compiler sees x == 0, and jumps */
    sign = (x | sign) >> 63;
    asm volatile("" : "+r"(sign)); /* verifier: else it sees the test of a sign, and jumps */
    return sign ^ 1;
}

/* One step of a walk: to the next node, or to the head of the next bucket. A bucket holds first and
 * last node where a node holds next and previous, so both are read alike. Returns 0 to go on, else
 * why not.
 * verifier: one way out. All else is arithmetic with 0 and 1, never with masks of all ones: Linux 6.18
 * follows `x & mask` for both values of such a mask, and dereferences NULL when it cannot
 * (kernel/bpf/verifier.c, maybe_fork_scalars). */
static __always_inline u64 step(struct walk *walk)
{
    struct node node;
    u64 at_head = is_zero(walk->node);
    u64 at_node = at_head ^ 1;
    u64 address = walk->node + walk->head * at_head;
    u64 failed = is_zero(bpf_probe_read_user(&node, sizeof(node), (void *)address)) ^ 1;
    u64 used_up = at_head & is_zero(walk->heads_left);
    u64 found = at_node & is_zero(walk->node ^ walk->end_node);
    u64 foreign = at_node & (is_zero(node.container ^ walk->container) ^ 1);
    u64 full = is_zero(node.object) ^ 1;
    walk->comparisons += at_node & (failed ^ 1) & (foreign ^ 1) & (found | full);
    walk->head += walk->head_step * at_head;
    walk->heads_left -= at_head;
    walk->node = node.next * walk->forward + node.previous * (walk->forward ^ 1);
    walk->steps++;
    return used_up | failed << 1 | foreign << 2 | found << 3;
}

/* 1 if the lookup took the object of the node where it ended out of the container. */
static __always_inline u32 takes_end_node(struct lookup *l)
{
    return (l->flags & OBJ_UNLINK) && l->end_node && !l->end_object;
}

/* Whether the number of elements is what the traversal made of it: then no node came or went
 * meanwhile. A lookup that unlinks every match says itself how many it took. */
static __always_inline bool unchanged(struct lookup *l)
{
    u32 elements = 0;
    if (bpf_probe_read_user(&elements, 4, (void *)(l->container + ELEMENTS_OFFSET)))
        return false;
    l->unlinked = l->head.elements - elements;
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

/* Decide by lot whether a walk of this many expected nodes fits the budget. */
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

/* Hash or list, no sort function in play: prepare a walk, or count without one.
 * Returns the program that walks, 0 if none has to. */
static __always_inline u32 plan_hash(struct control *c, struct thread *t, struct lookup *l,
                                     struct layout *layout, struct traversal_state *state)
{
    struct walk *walk = &t->walk;
    u32 search = l->flags & OBJ_SEARCH_MASK;
    bool keyed = search == OBJ_SEARCH_KEY || search == OBJ_SEARCH_OBJECT;
    u32 buckets = 0;
    if (bpf_probe_read_user(&buckets, 4, (void *)(l->container + layout->bucket_count_offset)) ||
        (s32)buckets <= 0) {
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
    if (w && expected >= CHECKPOINT_LEAST && walk->heads_left == 1 && walk->forward &&
        !(l->flags & OBJ_UNLINK)) {
        u32 plan = plan_checkpoints(c, w, &t->checkpoint_walk, l->container, bucket,
                                    l->head.elements, expected);
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
    if (l->inner_unseen)
        return;
    if (l->entry == ENTRY_UNLINK && (l->head.options & CONTAINER_DUPS_MASK))
        l->comparisons = l->end_node != 0; /* at most one object sorts equal */
    else if (trapped_functions.lookup(&callback))
        l->comparisons = l->trapped_comparisons;
    else
        return;
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
    l->verdict = UNVERIFIED_START;
    if (!END_SITES)
        return 0; /* whether the traversal ended at a node cannot be told */
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
    __builtin_memset(&t->walk, 0, sizeof(t->walk));
    if (is_tree)
        return plan_tree(c, t, l, layout);
    if (bpf_probe_read_user(&state, sizeof(state), (void *)l->state) ||
        state.argument != l->argument || state.flags != l->flags) {
        return 0;
    }
    return plan_hash(c, t, l, layout, &state);
}

/* Take up to WALK_STEPS steps. Returns whether the walk is over. */
static __always_inline bool walk_some(struct walk *kept)
{
    struct walk walk = *kept;
    u64 stop = 0;
#if WALK_ITERATOR
    struct iter_num iterator;
    iter_num_new(&iterator, 0, WALK_STEPS);
    while (iter_num_next(&iterator)) {
        stop = step(&walk);
        if (stop)
            break;
    }
    iter_num_destroy(&iterator);
#else
#pragma clang loop unroll(disable)
    for (int i = 0; i < WALK_STEPS; i++) {
        stop = step(&walk);
        if (stop)
            break;
    }
#endif
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
        walk->steps++; /* as many as nodes are read */
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
#if WALK_ITERATOR
    struct iter_num iterator;
    iter_num_new(&iterator, 0, TREE_STEPS);
    while (iter_num_next(&iterator)) {
        stop = step_tree(tree, walk);
        if (stop)
            break;
    }
    iter_num_destroy(&iterator);
#else
#pragma clang loop unroll(disable)
    for (int i = 0; i < TREE_STEPS; i++) {
        stop = step_tree(tree, walk);
        if (stop)
            break;
    }
#endif
    walk->stop = stop;
    return stop != 0;
}

static __always_inline void charge_walk(struct lookup *l, struct walk *walk, u64 started_ns)
{
    struct window_state *w = get_window();
    u64 taken = bpf_ktime_get_ns() - started_ns;
    l->own_ns += taken;
    if (w) {
        __sync_fetch_and_add(&w->nodes, walk->steps);
        __sync_fetch_and_add(&w->walk_ns, taken);
        __sync_fetch_and_add(&w->spent_ns, taken);
    }
}

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

static __always_inline u64 mix(u64 hash, u64 value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL; /* 2^64 divided by the golden ratio */
    return hash ^ (hash >> 29);
}

static __always_inline struct group *group_of(struct lookup *l)
{
    struct group_key key = {.container = l->container,
                            .comparator = l->head.cmp_fn,
                            .file = l->file,
                            .function = l->function,
                            .line = l->line,
                            .flags = l->passed_flags,
                            .entry = l->entry};
    struct group *group = groups.lookup(&key);
    if (group)
        return group;
    struct group fresh = {};
    u64 id = mix(mix(mix(mix(1, key.container), key.comparator), key.file), key.function);
    id = mix(mix(id, ((u64)key.line << 32) | key.flags), key.entry);
    fresh.id = id ? id : 1;
    fresh.v_table = l->head.v_table;
    fresh.elements_first = l->head.elements;
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
    if (l->verdict == TRUNCATED_WALK)
        keep_max(&group->truncated_max, l->comparisons);
    __sync_fetch_and_add(&group->verdicts[l->verdict < VERDICT_COUNT ? l->verdict : 0], 1);
    __sync_fetch_and_add(hit ? &group->hits : &group->misses, 1);
    __sync_fetch_and_add(&group->duration_total_ns, duration);
    keep_max(&group->duration_max_ns, duration);
    group->elements_last = l->head.elements;
    return true;
}

/* Choose by lot whether to unwind; where counting took far longer, always. Returns the weight, 0: no. */
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
    u64 taken = now - l->started_ns, own = l->own_ns + c->return_trap_ns;
    leave_flight();
    t->depth--;
    if (l->has_return)
        forget_return_address(l);
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
    t->stack_key.entry = l->entry;
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
        return NO_RETURN_PROBE;
    if (unwind_some(&t->unwind) == UNWIND_MORE) {
        lookup_programs.call(ctx, PROGRAM_UNWIND);
        unwind_give_up(&t->unwind);
    }
    struct lookup_stack zero = {};
    struct lookup_stack *sum = NULL;
    t->stack_key.stack = stack_store(&t->unwind);
    if (t->stack_key.stack)
        sum = lookup_stacks.lookup_or_try_init(&t->stack_key, &zero);
    if (!sum) {
        count_lookup(LOOKUPS_STACKLESS);
        return NO_RETURN_PROBE;
    }
    __sync_fetch_and_add(&sum->lookups, t->stack_weight.lookups);
    __sync_fetch_and_add(&sum->comparisons, t->stack_weight.comparisons);
    return NO_RETURN_PROBE;
}

/* Whether what was returned is what the traversal ended at. */
static __always_inline bool result_fits(struct lookup *l, u64 result)
{
    if (l->entry == ENTRY_WEAKPROXY_FIND)
        return true; /* the object behind the proxy */
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
        fits = objects <= l->comparisons && (!(l->flags & OBJ_UNLINK) || objects == l->unlinked);
    } else {
        fits = result_fits(l, result);
    }
    if (l->verdict == VERIFIED && !fits)
        l->verdict = CONTRADICTED_RESULT;
    return hit;
}

/* The last program of a lookup. */
int lookup_commit(struct pt_regs *ctx)
{
    struct control *c = get_control();
    struct thread *t = this_thread();
    struct lookup *l = t ? top_lookup(t) : NULL;
    if (!c || !l)
        return NO_RETURN_PROBE;
    bool hit = l->end_node != 0;
    if (t->stage == STAGE_RETURN && l->entry != ENTRY_UNLINK && l->phase != PHASE_ENTERED)
        hit = check_result(l, t->result);
    commit(ctx, c, t, l, t->now, hit);
    return NO_RETURN_PROBE;
}

/* The comparisons of the top lookup are counted, or cannot be. */
static __always_inline void counted(struct pt_regs *ctx, struct thread *t, struct lookup *l)
{
    /* Without return probes, the last that is seen of a lookup that does not lock is its end. */
    bool is_last = !l->has_return && (t->stage == STAGE_UNLOCK || (l->flags & OBJ_NOLOCK));
    if (t->stage == STAGE_RETURN || is_last)
        lookup_programs.call(ctx, PROGRAM_COMMIT);
}

static __always_inline void walk_on(struct pt_regs *ctx, struct thread *t, struct lookup *l)
{
    if (!walk_some(&t->walk) && t->walk.calls++ < WALK_CALLS)
        lookup_programs.call(ctx, PROGRAM_WALK); /* when it fails, the walk is truncated */
    finish_walk(l, &t->walk);
    charge_walk(l, &t->walk, t->walk_started_ns);
    counted(ctx, t, l);
}

int lookup_walk(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = t ? top_lookup(t) : NULL;
    if (l)
        walk_on(ctx, t, l);
    return NO_RETURN_PROBE;
}

#if HAS_CHECKPOINTS
int lookup_make_checkpoints(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = t ? top_lookup(t) : NULL;
    if (!l)
        return NO_RETURN_PROBE;
    struct walk walk = t->walk;
    walk.end_node = 0; /* on to the end of the chain */
    walk.stop = make_checkpoints(&t->checkpoint_walk, &walk, l->end_node);
    if (walk.stop & STOP_USED_UP) {
        t->checkpoint_walk.chain.length = walk.comparisons;
        chains.update(&t->checkpoint_walk.key, &t->checkpoint_walk.chain);
        walk.end_node = l->end_node;
        if (l->end_node && t->checkpoint_walk.position) {
            walk.comparisons = t->checkpoint_walk.position;
            walk.stop = STOP_FOUND;
        }
    }
    finish_walk(l, &walk);
    charge_walk(l, &walk, t->walk_started_ns);
    counted(ctx, t, l);
    return NO_RETURN_PROBE;
}

int lookup_use_checkpoints(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = t ? top_lookup(t) : NULL;
    if (!l)
        return NO_RETURN_PROBE;
    struct walk walk = t->walk;
    walk.stop = use_checkpoints(&t->checkpoint_walk, &walk, l->end_node);
    walk.comparisons = t->checkpoint_walk.position;
    if (walk.stop == STOP_FOUND && !walk.comparisons)
        walk.stop = STOP_USED_UP; /* no position before the first: contradicted */
    finish_walk(l, &walk);
    charge_walk(l, &walk, t->walk_started_ns);
    counted(ctx, t, l);
    return NO_RETURN_PROBE;
}
#endif

int lookup_walk_tree(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = t ? top_lookup(t) : NULL;
    if (!l)
        return NO_RETURN_PROBE;
    if (!walk_tree_some(&t->tree_walk, &t->walk) && t->walk.calls++ < WALK_CALLS)
        lookup_programs.call(ctx, PROGRAM_WALK_TREE);
    finish_walk(l, &t->walk);
    charge_walk(l, &t->walk, t->walk_started_ns);
    counted(ctx, t, l);
    return NO_RETURN_PROBE;
}

/* Count the comparisons of the top lookup, whose traversal has just ended. */
int lookup_count(struct pt_regs *ctx)
{
    struct control *c = get_control();
    struct thread *t = this_thread();
    struct lookup *l = t ? top_lookup(t) : NULL;
    if (!c || !l)
        return NO_RETURN_PROBE;
    t->walk_started_ns = bpf_ktime_get_ns();
    u32 program = plan_count(c, t, l);
    if (!program) {
        counted(ctx, t, l);
        return NO_RETURN_PROBE;
    }
    /* verifier: in this program it would follow the loop once for each way to it */
    lookup_programs.call(ctx, program);
    l->verdict = TRUNCATED_WALK;
    counted(ctx, t, l);
    return NO_RETURN_PROBE;
}

/* Go on with a program; after a failure the lookup stays open and is counted when it is dropped. */
static __always_inline void go_on(struct pt_regs *ctx, struct thread *t, u32 stage, u64 now,
                                  u32 program)
{
    t->stage = stage;
    t->now = now;
    lookup_programs.call(ctx, program);
}

static __always_inline void traversal_end(struct pt_regs *ctx, struct thread *t, struct lookup *l,
                                          u64 now)
{
    struct node node;
    if (l->phase != PHASE_TRAVERSING || (s32)ctx->si != -1 || !is_own_call(l, ctx->sp) ||
        bpf_probe_read_user(&node, sizeof(node), (void *)ctx->di) || node.container != l->container)
        return;
    l->phase = PHASE_ENDED;
    l->end_node = ctx->di;
    l->end_object = node.object;
    l->end_bucket = node.bucket;
    go_on(ctx, t, STAGE_END, now, PROGRAM_COUNT);
}

static __always_inline void traversal_unlock(struct pt_regs *ctx, struct thread *t,
                                             struct lookup *l, u64 now)
{
    if (l->phase == PHASE_ENTERED || l->container != ctx->di || !is_own_call(l, ctx->sp))
        return;
    if (l->phase == PHASE_TRAVERSING) {
        l->phase = PHASE_EXHAUSTED;
        go_on(ctx, t, STAGE_UNLOCK, now, PROGRAM_COUNT);
    } else if (!l->has_return) {
        go_on(ctx, t, STAGE_UNLOCK, now, PROGRAM_COMMIT);
    }
}

static __always_inline void returned(struct pt_regs *ctx, u64 now)
{
    struct control *c = get_control();
    struct window_state *w = get_window();
    struct thread *t = this_thread();
    if (!c || !w)
        return;
    charge(c, w, c->return_trap_ns);
    if (!c->window || !t)
        return;
    settle(t, c->window, ctx->sp - 8);
    struct lookup *l = top_lookup(t);
    if (!l || l->entry_sp + 8 != ctx->sp)
        return;
    t->result = ctx->ax;
    u32 program = PROGRAM_COMMIT;
    if (l->phase == PHASE_TRAVERSING) {
        /* OBJ_NOLOCK and no node to give up: the caller still holds the lock. */
        l->phase = PHASE_EXHAUSTED;
        program = PROGRAM_COUNT;
    }
    go_on(ctx, t, STAGE_RETURN, now, program);
}

/* Whether the function that has just been entered was called by Asterisk's code of containers: what
 * is called for each node may call the sort function itself. */
static __always_inline bool is_container_code(u64 sp)
{
    u64 caller = 0;
    bpf_probe_read_user(&caller, sizeof(caller), (void *)sp);
    return caller - AO2_CODE_START < AO2_CODE_BYTES;
}

/* A sort or compare function was entered: count it for the lookup that is traversing. */
static __always_inline void compared(struct pt_regs *ctx, struct lookup *l, u64 value)
{
    u64 function = FUNCTION_OF(value), sp = ctx->sp + PUSHED_BYTES_OF(value);
    if (l->phase != PHASE_TRAVERSING)
        return;
    if (function == l->head.sort_fn)
        l->sort_calls += is_container_code(sp);
    if (function != l->callback)
        return;
    if (!l->callback_sp)
        l->callback_sp = sp;
    l->trapped_comparisons += l->callback_sp == sp; /* else it was called by itself */
}

/* A probe inside a lookup was hit. */
static __always_inline void inside(struct pt_regs *ctx, struct control *c, u64 cookie)
{
    u64 now = bpf_ktime_get_ns();
    struct thread *t = this_thread();
    if (!t)
        return;
    settle(t, c->window, ctx->sp);
    struct lookup *l = top_lookup(t);
    if (!l)
        return;
    l->own_ns += trap_cost(c, cookie) + c->program_ns;
    u32 place = PLACE_OF(cookie);
    if (place == PLACE_TRAVERSAL_FIRST)
        traversal_first(ctx, l, VALUE_OF(cookie));
    else if (place == PLACE_TRAVERSAL_END)
        traversal_end(ctx, t, l, now);
    else if (place == PLACE_TRAVERSAL_UNLOCK)
        traversal_unlock(ctx, t, l, now);
#if VERIFY
    else if (place == PLACE_TRAVERSAL_NEXT)
        l->next_calls += l->phase == PHASE_TRAVERSING && l->container == ctx->di && l->state == ctx->si;
#endif
    else
        compared(ctx, l, VALUE_OF(cookie));
}

static __always_inline u64 get_cookie(struct pt_regs *ctx)
{
#if COOKIES_BY_ADDRESS
    u64 address = ctx->ip;
    u64 *cookie = cookies.lookup(&address);
    return cookie ? *cookie : ~0ULL;
#else
    return bpf_get_attach_cookie(ctx);
#endif
}

static __always_inline bool entered(struct pt_regs *ctx)
{
    u64 cookie = get_cookie(ctx);
    struct control *c = get_control();
    struct window_state *w = get_window();
    if (!c || !w)
        return false;
    charge(c, w, trap_cost(c, cookie));
#if HAS_CHECKPOINTS
    if (PLACE_OF(cookie) == PLACE_INSERT) {
        inserted(ctx->di); /* also while no window is open: a lookup may be in flight */
        return false;
    }
#endif
    if (PLACE_OF(cookie) < ENTRY_COUNT)
        return enter(ctx, c, w, PLACE_OF(cookie), VALUE_OF(cookie));
    if (c->window)
        inside(ctx, c, cookie);
    return false;
}

#if SESSION
/* Linux 6.13: one program and one link for all probes; the return is trapped only where needed. */
int lookup_session(struct pt_regs *ctx)
{
    if (session_is_return(ctx)) {
        returned(ctx, bpf_ktime_get_ns());
        return 0;
    }
    return entered(ctx) ? 0 : 1; /* 1: do not run at the function's return */
}

#endif

/* Older kernels: two programs. */
int lookup_entry(struct pt_regs *ctx)
{
    entered(ctx);
    return 0;
}

int lookup_return(struct pt_regs *ctx)
{
    returned(ctx, bpf_ktime_get_ns());
    return 0;
}

#include "tally.h"

/* What a probe costs is measured with these. */
int calibrate_entry(struct pt_regs *ctx)
{
    return 1; /* in a session: not at the return */
}

int calibrate_return(struct pt_regs *ctx)
{
    return 0;
}
