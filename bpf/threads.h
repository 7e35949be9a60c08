/* The lookups of each thread. Samples look at them too: for return addresses that probes replaced. */
#pragma once

struct thread {
    u32 depth;
    u32 stage; /* enum stage */
    u64 now;   /* when that probe was hit; 0: not known */
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

BPF_HASH(threads, u32, struct thread, SIZED); /* by tid */

static __always_inline struct thread *this_thread(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    return threads.lookup(&tid);
}

static __always_inline struct lookup *lookup_at(struct thread *t, u32 index)
{
    asm volatile("" : "+r"(index)); /* verifier: else the compiler drops the mask that it proves */
    return &t->lookups[index & (MAX_DEPTH - 1)];
}

/* See unwind.h. Of lookups with the same slot (one function jumped to the other) the first saw the
 * return address before any trampoline. */
static __always_inline u64 trapped_return(struct unwind_state *state, u64 slot)
{
    struct thread *t = this_thread();
    if (!t)
        return 0;
    u64 original = 0;
    state->search.index = 0;
    REPEAT(MAX_DEPTH)
    {
        u32 index = state->search.index++;
        if (index >= t->depth)
            break;
        struct lookup *l = lookup_at(t, index);
        if (l->entry_sp == slot) {
            original = l->return_address;
            break;
        }
    }
    return original;
}
