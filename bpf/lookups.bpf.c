/* SPDX-License-Identifier: MIT
 *
 * Lookups in ao2 containers: which, from where, how long, and how many comparisons each made.
 *
 * A lookup is followed by these probes, none of them per comparison:
 *   lookup            entry and return of __ao2_find and its variants: who asks for what, and the result
 *   traversal_first   entry of the container's traverse_first: the traversal's own state, which
 *                     gives the bucket that Asterisk computed. Left out once it is known where the
 *                     state lies.
 *   traversal_end     where the traversal gives up its last node: the node at which it ended. Does
 *                     not happen when every node was visited.
 *   traversal_exhausted  where only traversals go on that have visited every node
 * The comparisons are counted by walking the same nodes in the target's memory, at one of the last
 * two, while the container's lock is still held (with OBJ_NOLOCK by the caller), so that nothing can
 * have changed since the comparisons were made.
 * Builds without places that only exhausted traversals pass have this one instead:
 *   traversal_unlock  where the traversal unlocks the container
 * There, traversals that do not lock and visited every node are walked at the lookup's return.
 * Rules: Asterisk main/astobj2_container.c internal_ao2_traverse(), main/astobj2_hash.c
 * hash_ao2_find_first()/_next(), main/astobj2_rbtree.c rb_ao2_find_first()/_next(), 13 to 22.
 */
#include <uapi/linux/ptrace.h>
#define TRAPS_RETURNS
#include "target.h"
#include "helpers.h"
#include "kfuncs.h"
#include "wire.h"
#include "unwind_store.h"
#include "lookup_state.h"
#include "lookup_step.h"
#include "threads.h"
#include "checkpoints.h"
#include "lookup_threads.h"
#include "lookup_entry.h"
#include "lookup_count.h"
#include "lookup_walk.h"
#include "lookup_commit.h"

/* The comparisons of the top lookup are counted, or cannot be. */
static __always_inline void counted(struct pt_regs *ctx, struct thread *t, struct lookup *l)
{
    /* Without a return, the last that is seen of a lookup is its traversal's end, or the unlocking
     * where that has a probe. */
    bool is_last =
        !l->has_return && (EXHAUSTED_SITES || t->stage == STAGE_UNLOCK || (l->flags & OBJ_NOLOCK));
    if (t->stage == STAGE_RETURN || is_last)
        lookup_programs.call(ctx, PROGRAM_COMMIT);
}

/* The walk of the top lookup is over. */
static __always_inline void walked(struct pt_regs *ctx, struct thread *t, struct lookup *l)
{
    finish_walk(l, &t->walk);
    charge_walk(t, l);
    counted(ctx, t, l);
}

int lookup_walk(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = top_lookup(t);
    if (!l)
        return 0;
    if (!walk_some(&t->walk) && t->walk.calls++ < WALK_CALLS)
        lookup_programs.call(ctx, PROGRAM_WALK); /* when it fails, the walk is truncated */
    walked(ctx, t, l);
    return 0;
}

#if HAS_CHECKPOINTS
int lookup_make_checkpoints(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = top_lookup(t);
    if (!l)
        return 0;
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
    t->walk = walk;
    walked(ctx, t, l);
    return 0;
}

int lookup_use_checkpoints(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = top_lookup(t);
    if (!l)
        return 0;
    t->walk.stop = use_checkpoints(&t->checkpoint_walk, l);
    t->walk.comparisons = t->checkpoint_walk.position;
    if (t->walk.stop == STOP_FOUND && !t->walk.comparisons)
        t->walk.stop = STOP_USED_UP; /* no position before the first: contradicted */
    walked(ctx, t, l);
    return 0;
}
#endif

int lookup_walk_tree(struct pt_regs *ctx)
{
    struct thread *t = this_thread();
    struct lookup *l = top_lookup(t);
    if (!l)
        return 0;
    if (!walk_tree_some(&t->tree_walk, &t->walk) && t->walk.calls++ < WALK_CALLS)
        lookup_programs.call(ctx, PROGRAM_WALK_TREE);
    walked(ctx, t, l);
    return 0;
}

/* Count the comparisons of the top lookup, whose traversal has just ended. */
int lookup_count(struct pt_regs *ctx)
{
    struct control *c = get_control();
    struct thread *t = this_thread();
    struct lookup *l = top_lookup(t);
    if (!c || !l)
        return 0;
    t->walk_started_ns = t->now ? t->now : bpf_ktime_get_ns();
    u32 program = plan_count(c, t, l);
    if (program) {
        /* verifier: in this program it would follow the loop once for each way to it */
        lookup_programs.call(ctx, program);
        l->verdict = TRUNCATED_WALK;
    }
    counted(ctx, t, l);
    return 0;
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

/* The traversal's method for the first or the next node returned none. */
static __always_inline void traversal_exhausted(struct pt_regs *ctx, struct thread *t,
                                                struct lookup *l, u64 now)
{
    if (l->phase != PHASE_TRAVERSING || !is_own_call(l, ctx->sp))
        return;
    l->phase = PHASE_EXHAUSTED;
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
    if (!c->window)
        return;
    drop_ended(t, c->window, ctx->sp - 8);
    struct lookup *l = top_lookup(t);
    if (!l || l->entry_sp + 8 != ctx->sp)
        return;
    t->result = ctx->ax;
    u32 program = PROGRAM_COMMIT;
    if (EXHAUSTED_SITES && l->phase == PHASE_TRAVERSING) {
        l->verdict = UNVERIFIED_START; /* its end was missed */
    } else if (l->phase == PHASE_TRAVERSING) {
        /* OBJ_NOLOCK and no node to give up: the caller still holds the lock. */
        l->phase = PHASE_EXHAUSTED;
        program = PROGRAM_COUNT;
    }
    go_on(ctx, t, STAGE_RETURN, now, program);
}

/* Whether the function that has just been entered was called by a traversal: what is called for each
 * node may call the sort function itself, or put elements into a container that sorts them. */
static __always_inline bool is_traversal_code(u64 sp)
{
    u64 caller = 0;
    int zero = 0;
    struct traversal_code *code = traversal_code.lookup(&zero);
    bpf_probe_read_user(&caller, sizeof(caller), (void *)sp);
    return code && caller - code->start < code->bytes &&
           caller - code->hash_insert_start >= code->hash_insert_bytes &&
           caller - code->tree_insert_start >= code->tree_insert_bytes;
}

/* A sort or compare function was entered: count it for the lookup that is traversing. */
static __always_inline void compared(struct pt_regs *ctx, struct lookup *l, u64 value)
{
    u64 function = FUNCTION_OF(value), sp = ctx->sp + PUSHED_BYTES_OF(value);
    if (l->phase != PHASE_TRAVERSING)
        return;
    if (function == l->head.sort_fn)
        l->sort_calls += is_traversal_code(sp);
    if (function != l->callback)
        return;
    if (!l->callback_sp)
        l->callback_sp = sp;
    l->trapped_comparisons += l->callback_sp == sp; /* else it was called by itself */
}

/* ao2_weakproxy_find searches again when what it found stands for an object that is gone. The first
 * traversal's own unlocking comes after its end, too. */
static __always_inline bool searched_again(struct pt_regs *ctx, struct lookup *l, u32 place)
{
    if (l->entry != ENTRY_WEAKPROXY_FIND || l->phase != PHASE_ENDED ||
        place == PLACE_TRAVERSAL_UNLOCK || !is_own_call(l, ctx->sp))
        return false;
    l->verdict = UNVERIFIED_RULE;
    return true;
}

/* A probe inside a lookup was hit. */
static __always_inline void inside(struct pt_regs *ctx, struct control *c, u64 cookie)
{
    struct thread *t = this_thread();
    drop_ended(t, c->window, ctx->sp);
    struct lookup *l = top_lookup(t);
    if (!l)
        return;
    u64 now = l->has_return ? 0 : bpf_ktime_get_ns(); /* it may be the lookup's end */
    l->own_ns += trap_cost(c, cookie) + c->program_ns;
    u32 place = PLACE_OF(cookie);
    if (place == PLACE_TRAVERSAL_FIRST)
        traversal_first(ctx, l, VALUE_OF(cookie));
    else if (searched_again(ctx, l, place))
        return;
    else if (place == PLACE_TRAVERSAL_END)
        traversal_end(ctx, t, l, now);
    else if (place == PLACE_TRAVERSAL_EXHAUSTED)
        traversal_exhausted(ctx, t, l, now);
    else if (place == PLACE_TRAVERSAL_UNLOCK)
        traversal_unlock(ctx, t, l, now);
#if VERIFY
    else if (place == PLACE_TRAVERSAL_NEXT)
        l->next_calls +=
            l->phase == PHASE_TRAVERSING && l->container == ctx->di && l->state == ctx->si;
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
    return get_attach_cookie(ctx);
#endif
}

static __always_inline void entered(struct pt_regs *ctx)
{
    u64 cookie = get_cookie(ctx);
    struct control *c = get_control();
    struct window_state *w = get_window();
    if (!c || !w)
        return;
    charge(c, w, trap_cost(c, cookie));
#if HAS_CHECKPOINTS
    if (PLACE_OF(cookie) == PLACE_INSERT) {
        inserted(ctx->di); /* also while no window is open: a lookup may be in flight */
        disturb(this_thread(), ctx->di);
        return;
    }
#endif
    if (PLACE_OF(cookie) < ENTRY_COUNT)
        enter(ctx, c, w, PLACE_OF(cookie), VALUE_OF(cookie));
    else if (c->window)
        inside(ctx, c, cookie);
}

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

#include "entry_counts.h"

/* What a probe costs is measured with this. */
int calibrate_return(struct pt_regs *ctx)
{
    return 0;
}
