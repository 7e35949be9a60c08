/*
 * Hands unwound stacks to user space through a ring, each one's addresses once.
 *
 * Which ones user space has got is kept in a table that forgets: a slot holds the last stack that
 * came there. What was forgotten is merely sent again, so that nothing can be full but the ring.
 */
#include "unwind.h"

#define UNWIND_SENT_SLOTS 65536 /* a power of two */

BPF_RINGBUF_OUTPUT(unwind_stacks, SIZED); /* records of struct unwind_stack */
/* By the low bits of its key, the check of the stack that was sent last. */
BPF_F_TABLE("array", u32, u64, unwind_sent, UNWIND_SENT_SLOTS, UNWIND_MMAPABLE);

/* Names a stack that ended, and whose kernel frames are there: the same for all that are equal. */
static __always_inline void unwind_name(struct unwind_state *state)
{
    struct unwind_stack *stack = &state->stack;
    u64 hash = state->key, check = stack->check;
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < UNWIND_MAX_KERNEL_FRAMES && i < stack->kernel_count; i++) {
        u64 at = stack->count + i;
        asm volatile("" : "+r"(at)); /* verifier: else the compiler compares something else */
        if (at >= UNWIND_STACK_FRAMES)
            break;
        hash = unwind_key(hash, stack->frames[at]);
        check = unwind_check(check, stack->frames[at]);
    }
    u64 is_sample = stack->time_ns != 0; /* user space may forget stacks of samples only */
    u64 shape =
        is_sample << 63 | (u64)stack->cause << 32 | stack->count << 16 | stack->kernel_count;
    stack->key = unwind_key(hash, shape);
    stack->check = unwind_check(check, shape);
}

/* Hands a named stack over, unless user space has all of it: 0, or less when the ring is full. */
static __always_inline s64 unwind_send(struct unwind_stack *stack)
{
    u32 slot = stack->key & (UNWIND_SENT_SLOTS - 1);
    u64 bytes = offsetof(struct unwind_stack, frames), check = stack->check;
    u64 *sent = unwind_sent.lookup(&slot);
    if (!sent)
        return -1;
    bool is_known = *sent == check;
    if (is_known && !stack->time_ns)
        return 0;
    if (!is_known)
        bytes += 8 * ((u64)stack->count + stack->kernel_count);
    asm volatile("" : "+r"(bytes)); /* verifier: as above */
    if (bytes > sizeof(*stack))
        return -1;
    s64 failed = unwind_stacks.ringbuf_output(stack, bytes, BPF_RB_NO_WAKEUP);
    if (!failed)
        *sent = check;
    return failed;
}
