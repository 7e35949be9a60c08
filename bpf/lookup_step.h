/* One step of a walk through the chains of a hash container or list. */
#pragma once

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
 * why not. The end node is counted when the walk comes to it, and not read: the probe that saw the
 * traversal's end has read it and knows that it is the container's.
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
    u64 foreign = at_node & (is_zero(node.container ^ walk->container) ^ 1);
    u64 full = is_zero(node.object) ^ 1;
    walk->head += walk->head_step * at_head;
    walk->heads_left -= at_head;
    walk->node = node.next * walk->forward + node.previous * (walk->forward ^ 1);
    u64 stopped = used_up | failed | foreign;
    u64 found = is_zero(walk->node ^ walk->end_node) & (is_zero(walk->end_node) ^ 1);
    found &= stopped ^ 1;
    walk->comparisons += (at_node & (stopped ^ 1) & full) + found;
    return used_up | failed << 1 | foreign << 2 | found << 3;
}
