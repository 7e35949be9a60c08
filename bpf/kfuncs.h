/* Kernel functions by placeholder number; compiled.py turns them into real calls. */
#pragma once

struct iter_num {
    u64 opaque; /* struct bpf_iter_num of the kernel, never read by us */
} __attribute__((aligned(8)));

static int (*iter_num_new)(struct iter_num *iterator, int start, int end) = (void *)0x7e000001;
static int *(*iter_num_next)(struct iter_num *iterator) = (void *)0x7e000002;
static void (*iter_num_destroy)(struct iter_num *iterator) = (void *)0x7e000003;

static __always_inline void end_iterator(struct iter_num *iterator)
{
    iter_num_destroy(iterator);
}

/* Repeats what follows so many times, or until it breaks off. */
#if WALK_ITERATOR
#define REPEAT(times)                                                     \
    for (struct iter_num iterator __attribute__((cleanup(end_iterator))), \
         *begun = (iter_num_new(&iterator, 0, times), &iterator);         \
         iter_num_next(begun);)
#else
#define REPEAT(times) \
    _Pragma("clang loop unroll(disable)") for (int repeated = 0; repeated < (times); repeated++)
#endif
