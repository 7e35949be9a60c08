/*
 * Keeps unwound stacks, each once, under a key that is a hash over its addresses.
 *
 * -DUNWIND_STACKS: entries of the map.
 */
#include "unwind.h"

#ifndef UNWIND_STACKS
#define UNWIND_STACKS 8192
#endif

BPF_TABLE("hash", u64, struct unwind_stack, unwind_stacks, UNWIND_STACKS);

/* What became of a stack that was to be stored. */
enum unwind_stored {
    UNWIND_STORED,
    UNWIND_COLLIDED, /* another stack has its key */
    UNWIND_LOST,     /* the map is full */
};

/* Stores a stack that ended under *key, once for all stacks that are equal. */
static __always_inline u32 unwind_store(struct unwind_state *state, u64 *key)
{
    struct unwind_stack *stack = &state->stack;
    u64 hash = state->key, check = stack->check;
#pragma clang loop unroll(disable)
    for (int i = 0; i < UNWIND_MAX_KERNEL_FRAMES && i < stack->kernel_count; i++) {
        hash = unwind_key(hash, stack->kernel[i & (UNWIND_MAX_KERNEL_FRAMES - 1)]);
        check = unwind_check(check, stack->kernel[i & (UNWIND_MAX_KERNEL_FRAMES - 1)]);
    }
    u64 shape = (u64)stack->cause << 32 | stack->count << 16 | stack->kernel_count;
    hash = unwind_key(hash, shape);
    stack->check = unwind_check(check, shape);
    *key = hash ? hash : 1; /* 0: no stack */
    struct unwind_stack *known = unwind_stacks.lookup(key);
    if (!known) {
        if (!unwind_stacks.insert(key, stack))
            return UNWIND_STORED;
        known = unwind_stacks.lookup(key); /* another CPU may have been faster */
        if (!known)
            return UNWIND_LOST;
    }
    return known->check == stack->check ? UNWIND_STORED : UNWIND_COLLIDED;
}
