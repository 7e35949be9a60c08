/* BPF_STACK_TRACE and BPF_RINGBUF size tables with this, so it must be a constant expression. */
#pragma once

#define roundup_pow_of_two(n) \
    ((n) <= 1 ? 1ULL : 1ULL << (64 - __builtin_clzll((unsigned long long)(n)-1)))
