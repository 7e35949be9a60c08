/* All that crosses between the kernel and Python for lookups; profiler/wire/lookups.py mirrors it and
 * a test compares sizes, offsets and constants. Times are nanoseconds of CLOCK_MONOTONIC, addresses the
 * target's. Fields that nothing sets are zero.
 */
#pragma once

#ifndef MAX_DEPTH
#define MAX_DEPTH 8 /* lookups that enclose each other on one thread; more are counted lost */
#endif
#define MATCH_BY_ADDRESS 1 /* stands for ao2_match_by_addr(), which __ao2_unlink() compares with */
#define EXACT_SLOTS      128 /* histogram slots 0..127 hold one value each */
#define OCTAVE_SLOTS     32  /* above, each power of two is cut into 32 slots of equal width */

/* Entry functions, in the order of ENTRY_FUNCTIONS in profiler/asterisk/abi.py. */
enum entry_function {
    ENTRY_FIND,
    ENTRY_CALLBACK,
    ENTRY_CALLBACK_DATA,
    ENTRY_UNLINK,
    ENTRY_WEAKPROXY_FIND,
    ENTRY_COUNT,
};

/* A probe's cookie: what the place is, and a value of its own. The entry functions come first. The
 * value of functions whose stack matters (entries, traverse_first) is the bytes that they have pushed
 * before the probe's place; that of a sort or compare function is its address and, in words, what it
 * has pushed. */
enum place {
    PLACE_TRAVERSAL_FIRST = ENTRY_COUNT,
    PLACE_TRAVERSAL_END,
    PLACE_TRAVERSAL_UNLOCK,
    PLACE_COMPARISON,
    PLACE_TRAVERSAL_NEXT,
    PLACE_INSERT, /* a hash container's method by which elements come in */
    PLACE_TRAVERSAL_EXHAUSTED,
};
#define PLACE_OF(cookie)       ((u32)((cookie) >> 56))
#define STEPPED                (1ULL << 55) /* in a cookie: the instruction is single-stepped, which costs more */
#define VALUE_OF(cookie)       ((cookie) & (STEPPED - 1))
#define FUNCTION_BITS          47 /* user space addresses are below 1 << 47 */
#define FUNCTION_OF(value)     ((value) & ((1ULL << FUNCTION_BITS) - 1))
#define PUSHED_BYTES_OF(value) ((value) >> FUNCTION_BITS << 3)

/* Why a measured lookup's comparisons are, or are not, known. */
enum verdict {
    VERIFIED,            /* counted, and every check held */
    UNVERIFIED_WALK,     /* not walked: not chosen, or the budget had no room */
    UNVERIFIED_START,    /* the start of the traversal was not seen */
    UNVERIFIED_LAYOUT,   /* a container whose methods are not known */
    UNVERIFIED_MEMORY,   /* a page of the chain was not resident */
    UNVERIFIED_CHANGE,   /* the container changed while the lookup ran */
    UNVERIFIED_RULE,     /* a kind of traversal that no rule counts */
    CONTRADICTED_NODE,   /* a node did not belong to the container */
    CONTRADICTED_END,    /* the chain did not lead to the node where the traversal ended */
    CONTRADICTED_RESULT, /* the returned object is not that node's */
    TRUNCATED_WALK,      /* the walk met its bound; the count is a lower limit */
    VERDICT_COUNT,
};

/* Where a lookup's entry went: LOOKUPS_FIRED is the sum of those after it, up to STACKLESS. */
enum lookup_counter {
    LOOKUPS_FIRED,      /* an entry function was entered while a window was open */
    LOOKUPS_KEPT,       /* aggregated, whatever the verdict */
    LOOKUPS_TRUNCATED,  /* aggregated, but the walk met its bound */
    LOOKUPS_INNER,      /* filtered: one entry function called another for the same lookup */
    LOOKUPS_BARE,       /* filtered: returned without a traversal (no container, wrong object) */
    LOOKUPS_DEPTH,      /* lost: deeper than MAX_DEPTH */
    LOOKUPS_THREADS,    /* lost: no room for the thread's state */
    LOOKUPS_GROUPS,     /* lost: no room for the group */
    LOOKUPS_UNREADABLE, /* lost: the arguments could not be read */
    LOOKUPS_UNFINISHED, /* lost: no return seen before the probes were taken away */
    LOOKUPS_STACKLESS,  /* kept, but its call stack was chosen and lost */
    LOOKUPS_STACKS,     /* kept with its call stack */
    LOOKUP_COUNTER_COUNT,
};

/* How a container's methods lay out memory, keyed by the address of its v_table. */
struct layout {
    u32 kind;                /* enum container_kind */
    u32 buckets_offset;      /* of the first bucket in the container, bytes; hash only */
    u32 bucket_bytes;        /* from one bucket to the next; hash only */
    u32 bucket_count_offset; /* of n_buckets in the container, bytes; hash only */
    u32 root_offset;         /* of the pointer to the root in the container, bytes; tree only */
    u32 unused;
};

enum container_kind { KIND_UNKNOWN, KIND_HASH, KIND_RBTREE };

/* What user space sets for the programs; one entry, written only by user space. */
struct control {
    u64 window;            /* number of the open window, from 1; 0: closed */
    u64 admit_until_ns;    /* lookups that are entered later are not admitted */
    u64 allowance_ns;      /* of the window: no lookup is admitted once it is spent */
    u64 walk_allowance_ns; /* a walk expected to be longer happens with this share of its cost */
    u32 trap_ns;           /* calibrated cost of one probe hit without the program's own time */
    u32 stepped_trap_ns;   /* the same for an instruction that is single-stepped */
    u32 return_trap_ns;    /* the same for a function's return */
    u32 program_ns;        /* mean time of the programs of one hit, without walks */
    u32 node_ns;           /* expected cost of one node of a walk */
    u32 stack_ns;          /* expected cost of unwinding one stack */
    u32 stack_share;       /* 1 of this many short lookups is unwound */
    u32 return_share;      /* 1 of this many short lookups is followed to its return */
    u32 predicts;          /* traverse_first has no probe: traversals are known by their frames */
    u32 unused;
};

/* Where a traversal's frame lies below the return address of the entry function that led to it, the
 * same for all lookups by that function unless `differed`. Learnt where traverse_first has a probe. */
struct traversal_frame {
    u64 traversal_bytes; /* to the stack pointer at the call of traverse_first */
    u64 state_bytes;     /* to struct hash_traversal_state */
    u64 agreed;          /* traversals that were as predicted from the first one, and that one */
    u64 differed;
};

/* Where the code of containers lies in the target: all of it, and of that what puts elements in. */
struct traversal_code {
    u64 start;
    u64 bytes;
    u64 hash_insert_start;
    u64 hash_insert_bytes;
    u64 tree_insert_start;
    u64 tree_insert_bytes;
};

/* What the programs report about the open window; one entry. */
struct window_state {
    u64 spent_ns;  /* estimated cost to the target so far */
    u64 closed_ns; /* when the first entry was refused; 0: none was */
    u64 admitted;  /* lookups admitted */
    u64 in_flight; /* admitted lookups that have not returned (two's complement) */
    u64 trap_ns;   /* calibrated cost of all probe hits, without the programs' time */
    u64 refused;   /* entries that were not admitted since it was spent */
    u64 put_off;   /* long chains not walked because too little of the allowance was left */
    u64 walk_ns;   /* time of all walks */
};

/* What user space sets for counting the entries of lookups; one entry. */
struct counting_control {
    u64 is_open;
    u64 allowance_ns; /* user space is woken when spent_ns passes it */
    u64 program_ns;   /* what one run of the program is taken to cost */
};

/* What the program that counts reports; one entry, never reset. */
struct counting_state {
    u64 spent_ns;   /* estimated cost to the target so far */
    u64 trap_ns;    /* calibrated cost of its traps, without the program's time */
    u64 used_up_ns; /* the last allowance that was spent */
    u64 lost;       /* entries for whose group there was no room */
};

/* Lookups are aggregated by these; no padding, since BPF hashes every byte. */
struct group_key {
    u64 container;
    u64 comparator; /* the container's cmp_fn: distinguishes a reused address */
    u64 file;       /* address of the caller's file name; 0 on Asterisk 13 */
    u64 function;   /* of its function name; on Asterisk 13 the return address */
    u32 line;
    u32 flags;
    u32 entry;   /* enum entry_function */
    u32 buckets; /* of a hash container whose layout is known: distinguishes a reused address, too */
};

struct group {
    u64 id; /* names the group in histogram keys; never 0 */
    u64 v_table;
    u64 verdicts[VERDICT_COUNT];
    u64 hits;
    u64 misses;
    u64 comparisons_total; /* of verified lookups */
    u64 comparisons_max;
    u64 sort_calls_total;
    u64 sort_calls_max;
    u64 duration_total_ns; /* of all measured lookups, our own time taken out */
    u64 duration_max_ns;
    u32 elements_first; /* of the container, at the first and at the last lookup */
    u32 elements_last;
    u64 agreed;    /* verified lookups whose steps were also trapped, and were as many */
    u64 disagreed; /* or not as many; both only in builds with VERIFY */
};

enum metric { METRIC_COMPARISONS, METRIC_SORT_CALLS, METRIC_DURATION };

struct histogram_key {
    u64 group;
    u32 metric;
    u32 slot;
};

/* Call stacks of lookups. */
struct lookup_stack_key {
    u64 stack, check; /* the stack's name, see struct unwind_stack */
    u64 container;
    u64 comparator;
    u64 file;
    u32 entry;
    u32 buckets;
};

struct lookup_stack {
    u64 lookups;     /* weighted: each unwound lookup stands for 1 / its probability */
    u64 comparisons; /* weighted in the same way */
};
