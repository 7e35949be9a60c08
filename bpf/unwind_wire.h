/* What the unwinder's kernel and user side share. Mirror: profiler/wire/unwind.py. */
#pragma once

#define UNWIND_MAX_FRAMES        128 /* user frames of a stack, a power of two */
#define UNWIND_ROOT_FRAMES       64  /* of them, when there are more frames: a ring of the last */
#define UNWIND_MAX_KERNEL_FRAMES 128 /* kernel frames; perf_event_max_stack is 127 */
#define UNWIND_STACK_FRAMES      (UNWIND_MAX_FRAMES + UNWIND_MAX_KERNEL_FRAMES)
#define UNWIND_MAX_MAPPINGS      4096 /* executable mappings of the target */
#define UNWIND_BLOCK_SHIFT       10   /* code bytes per index entry, as a power of two */

/* Why a stack ended. Only UNWIND_WHOLE is a whole stack. */
enum unwind_cause {
    UNWIND_MORE = 0,            /* not yet at its end; never stored */
    UNWIND_WHOLE = 1,           /* a frame whose return address is undefined: the thread's start */
    UNWIND_NO_TABLE = 2,        /* in a mapping without a table */
    UNWIND_NO_RULE = 3,         /* between two functions that the table describes */
    UNWIND_UNSUPPORTED = 4,     /* a rule that we cannot follow */
    UNWIND_UNREADABLE = 5,      /* stack memory that could not be read */
    UNWIND_TOO_DEEP = 6,        /* more frames than are followed */
    UNWIND_UNKNOWN_MAPPING = 7, /* an address outside all executable mappings */
    UNWIND_BAD_ADDRESS = 8,     /* return address zero or not canonical */
    UNWIND_BACKWARDS = 9,       /* the caller's frame is not above this one */
    UNWIND_NO_REGISTERS = 10,   /* the user registers of a sample in the kernel are not to be had */
    UNWIND_TAIL_CALL = 11,      /* the kernel refused to continue the unwinding program */
    UNWIND_CAUSES = 12,
};

/* How a row's rule finds the CFA. */
enum unwind_kind {
    UNWIND_KIND_NONE = 0,     /* no function here */
    UNWIND_KIND_RSP = 1,      /* rsp + 8 * offset */
    UNWIND_KIND_RBP = 2,      /* rbp + 8 * offset */
    UNWIND_KIND_PLT = 3,      /* rsp + 8 * offset, 8 more when (rip & 15) >= slot */
    UNWIND_KIND_END = 4,      /* the return address is undefined */
    UNWIND_KIND_SIGNAL = 5,   /* rt_sigframe: rsp points at a ucontext */
    UNWIND_KIND_WIDE = 6,     /* `offset` is an index of a struct unwind_rule */
    UNWIND_KIND_BAD = 7,      /* cannot be expressed */
    UNWIND_KIND_CLONE = 8,    /* a thread that has just begun has no caller; else rsp + 8 */
    UNWIND_KIND_REGISTER = 9, /* rsp + 8 * offset; `slot` is the register with the return address */
};

/* A rule word: kind << 28 | (slot & 0xff) << 20 | offset. */
#define UNWIND_KIND_SHIFT  28
#define UNWIND_SLOT_SHIFT  20
#define UNWIND_OFFSET_MASK 0xfffffu
#define UNWIND_SLOT_LOST   -128 /* slot 0: rbp kept; < 0: saved at CFA + 8 * slot; this: lost */

/* How a wide rule finds rbp. */
enum unwind_bp {
    UNWIND_BP_SAME = 0,
    UNWIND_BP_AT_CFA = 1, /* saved at CFA + bp_offset */
    UNWIND_BP_AT_BP = 2,  /* saved at rbp + bp_offset */
    UNWIND_BP_LOST = 3,
};

/* A rule that does not fit a word: CFA = (reg + offset, or what is there in memory) + added. */
struct unwind_rule {
    u8 reg;       /* DWARF number, 0 to 15 (System V x86-64 psABI table 3.36) */
    u8 is_memory; /* read the CFA at reg + offset */
    u8 bp;        /* enum unwind_bp */
    u8 bx;        /* as a word's slot, where the table follows rbx; words leave it alone */
    s32 offset;
    s32 added;
    s32 bp_offset;
};

/* A row: code offset from the table's base in the high half, rule word in the low half. */

/* Rows of one block of code, see UNWIND_BLOCK_SHIFT. */
struct unwind_block {
    u32 first; /* index of its first row, from the table's first row */
    u32 count;
};

/* An executable mapping of the target, sorted by start. */
struct unwind_mapping {
    u64 start, end; /* addresses [start, end) */
    u64 base;       /* address that the table's offset 0 stands for */
    u32 rows;       /* index of the table's first row */
    u32 blocks;     /* index of its first block */
    u32 count;      /* of blocks; 0: no table */
    u32 rules;      /* index of its first wide rule */
    u32 follows_bx; /* 1: its rules say what becomes of rbx */
    u32 zero;
};

/* Which half of the mappings array holds, written as one word. */
struct unwind_active {
    u32 half; /* 0 or 1 */
    u32 count;
};

/* A record of the ring: a sample with its stack, or a lookup's stack. Each stack's addresses come with
 * its first record, and again when that was forgotten; other records end before `frames`.
 *
 * Of more than UNWIND_MAX_FRAMES user frames those in the middle are left out. The last
 * UNWIND_ROOT_FRAMES of the user frames' places are a ring then: frame n is at
 * n % UNWIND_ROOT_FRAMES in it. */
struct unwind_stack {
    u64 key, check; /* two hashes over all that makes stacks differ: together they name it */
    u64 time_ns;    /* of the sample, CLOCK_MONOTONIC; 0: a lookup's stack */
    u32 tid;        /* of the sample, in the initial pid namespace */
    u16 count;      /* user frames */
    u8 kernel_count;
    u8 cause;  /* enum unwind_cause */
    u32 depth; /* user frames, also those that are left out */
    u32 zero;
    /* User frames, leaf first, and right behind them the kernel's, leaf first too. */
    u64 frames[UNWIND_STACK_FRAMES];
};
