/* BPF_STACK_TRACE and BPF_RINGBUF size tables with this, so it must be a constant expression. */
#ifndef EBPF_PROF_LOG2_H
#define EBPF_PROF_LOG2_H

#define roundup_pow_of_two(n) \
    ((n) <= 1 ? 1ULL : 1ULL << (64 - __builtin_clzll((unsigned long long)(n)-1)))

#endif
