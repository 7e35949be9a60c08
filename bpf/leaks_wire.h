/* All that crosses between the kernel and Python for objects that are followed from their birth;
 * profiler/wire/leaks.py mirrors it. Cookies are laid out as in wire.h. Times are nanoseconds of
 * CLOCK_MONOTONIC, addresses the target's.
 */
#pragma once

/* What a probe's place is. A cookie's value is the bytes that the function has pushed before it; that of
 * OBJECT_FREE is the number of the register that holds the object, as the hardware counts them. */
enum object_place {
    OBJECT_ALLOC,       /* __ao2_alloc() and __ao2_alloc_with_lockobj() */
    OBJECT_INNER_ALLOC, /* internal_ao2_alloc(), which both call */
    OBJECT_REFERENCE,
    OBJECT_LINK,
    OBJECT_UNLINK,
    OBJECT_FREE, /* the destructor will be called now, if there is one */
};

/* Two stretches have a budget of their own: that in which all is watched, and that in which only the
 * ends of objects are. */
enum object_watch { WATCH_ALL, WATCH_FREES, WATCH_COUNT };

/* Set by user space, for each kind of stretch. */
struct object_control {
    u64 window;             /* number of the open one; 0: none is open */
    u64 allowance_ns;       /* up to this `spent_ns` may grow */
    u64 birth_allowance_ns; /* beyond this no more objects are chosen */
    u32 trap_ns;            /* calibrated */
    u32 stepped_trap_ns;
    u32 return_trap_ns; /* added by a return that is trapped */
    u32 program_ns;     /* expected; only for `spent_ns` */
    u32 birth_quota;    /* objects of one type that are chosen in one window */
    u32 stack_share;    /* one in so many objects has its birth and all its changes unwound */
    u32 max_changes;    /* of one object that are handed over; more are counted lost */
    u32 unused;
};

struct object_state {
    u64 trap_ns;         /* cost of all traps */
    u64 spent_ns;        /* the same, with what programs are expected to take */
    u64 used_up_ns;      /* the allowance that was used up last, of which user space was told */
    u64 births;          /* objects that began to be allocated */
    u64 births_filtered; /* of these: not chosen, or not done when the stretch ended */
    u64 births_lost;     /* chosen, but there was no room, or nothing was allocated */
    u64 changes;         /* of objects that are followed */
    u64 changes_lost;    /* no room in the ring, or in the object's history */
    u64 links_lost;      /* no room for their place */
};

/* What is allocated alike. */
struct object_type {
    u64 destructor;
    u64 file, function;
    u64 size;
    u32 line;
    u32 unused;
};

struct object_births {
    u64 born;
    u64 window; /* of `chosen` */
    u64 chosen;
};

/* An object that is followed, by its address. */
struct followed_object {
    u64 id;      /* never 0 */
    u64 changes; /* that were seen */
    u64 changes_lost;
    u32 has_stacks; /* its birth and all its changes are unwound */
    u32 unused;
};

/* Where something was linked, or unlinked. */
struct object_link {
    u64 container;
    u64 file, function;
    u32 line;
    u32 place; /* OBJECT_LINK or OBJECT_UNLINK */
};

/* Something happened to an object that is followed. */
struct object_event {
    u64 time_ns;
    u64 id;
    u64 object;
    u64 file, function;
    u64 caller;       /* return address */
    u64 stack, check; /* the stack's name, see struct unwind_stack; 0: it was not unwound */
    u64 container;    /* of links; of a birth the destructor */
    u64 size;         /* of a birth; of others how many changes of the object were lost before */
    u32 line;
    u32 tid;
    s32 delta;  /* of references */
    s32 before; /* references, as read just before */
    u32 place;  /* enum object_place */
    u32 unused;
};
