/* What links.bpf.c hands to user space, and what it is told. Mirror: profiler/wire/links.py. */
#pragma once

struct link_control {
    u64 allowance_ns; /* links are counted while `spent_ns` is below; 0: none is */
    u64 event_ns;     /* assumed cost of one */
    u64 unwind_ns;    /* and of unwinding one that is counted */
};

struct link_state {
    u64 spent_ns;
    u64 events;     /* probes that were hit: counted, or for one of these reasons not */
    u64 others;     /* into containers that nobody watches */
    u64 refused;    /* the allowance was spent */
    u64 lost;       /* no room */
    u64 used_up_ns; /* the allowance that was found to be spent */
};

/* Who links into which container: the stack from the caller on, by its name, see unwind_wire.h. */
struct link_stack {
    u64 container;
    u64 stack, check;
};
