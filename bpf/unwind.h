/*
 * Unwinds the user stack of the current thread by the tables that profiler/unwind/table.py makes.
 *
 * A program fills a struct unwind_state that lives in a map value (unwind_begin), calls
 * unwind_some and, as long as that answers UNWIND_MORE, tail-calls itself; then unwind_store.h names
 * the stack and hands it over. The state must not be shared: uprobe programs can be preempted and need
 * one per thread, perf_event programs can use one per CPU.
 */
#include <uapi/linux/ptrace.h>
#include "kfuncs.h"
#include "target.h"
#include "memory.h"
#include "unwind_wire.h"

/* verifier: without iterators it follows each round: 64 are too many for Linux 5.15. */
#define UNWIND_FRAMES_PER_CALL (WALK_ITERATOR ? 64 : 16)
#define UNWIND_MAX_DEPTH       (32 * UNWIND_FRAMES_PER_CALL) /* frames; there are 33 tail calls */

#define UNWIND_MMAPABLE 1024 /* BPF_F_MMAPABLE, linux/bpf.h, kernel 5.5 */
BPF_F_TABLE("array", u32, u64, unwind_rows, SIZED, UNWIND_MMAPABLE);
BPF_F_TABLE("array", u32, struct unwind_block, unwind_blocks, SIZED, UNWIND_MMAPABLE);
BPF_F_TABLE("array", u32, struct unwind_rule, unwind_rules, SIZED, UNWIND_MMAPABLE);
BPF_F_TABLE("array", u32, struct unwind_mapping, unwind_mappings, 2 * UNWIND_MAX_MAPPINGS,
            UNWIND_MMAPABLE);
BPF_F_TABLE("array", u32, struct unwind_active, unwind_active, 1, UNWIND_MMAPABLE);

#define UNWIND_EXACT      1 /* ip is where execution is, not a return address */
#define UNWIND_BP_UNKNOWN 2
#define UNWIND_REGISTERS  4 /* `registers` holds the leaf's */
#define UNWIND_BX_KNOWN   8

/* Where a search stands. verifier: what is in memory it does not know, so that all rounds of a loop
 * look alike to it and it follows one of them. */
struct unwind_search {
    u32 low, high;
    u32 word;
    u32 index;
};

struct unwind_state {
    u64 ip, sp, bp, bx;
    u64 key; /* hash over the frames so far */
    u32 flags;
    u32 mapping;       /* index of the mapping found last */
    u64 registers[16]; /* the leaf's, by DWARF number */
    struct unwind_search search;
    struct unwind_stack stack;
};

/* The return address that was in a stack slot of the current thread before a return probe put its
 * trampoline there, 0 when none did. Programs of a target whose returns are probed define it and
 * TRAPS_RETURNS. */
#ifdef TRAPS_RETURNS
static __always_inline u64 trapped_return(struct unwind_state *state, u64 slot);
#else
static __always_inline u64 trapped_return(struct unwind_state *state, u64 slot)
{
    return 0;
}
#endif

static __always_inline u64 unwind_key(u64 hash, u64 value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

static __always_inline u64 unwind_check(u64 hash, u64 value)
{
    hash = (hash << 7 | hash >> 57) + value;
    return (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ull;
}

static __always_inline void unwind_begin(struct unwind_state *state, u64 ip, u64 sp, u64 bp)
{
    state->ip = ip;
    state->sp = sp;
    state->bp = bp;
    state->key = 0;
    state->flags = UNWIND_EXACT;
    state->mapping = ~0u;
    state->stack.check = 1;
    state->stack.cause = UNWIND_MORE;
    state->stack.count = 0;
    state->stack.kernel_count = 0;
    state->stack.depth = 0;
}

/* As unwind_begin, where the thread will go on after a return to `ip`. */
static __always_inline void unwind_begin_caller(struct unwind_state *state, u64 ip, u64 sp, u64 bp)
{
    unwind_begin(state, ip, sp, bp);
    state->flags = 0;
}

/* As unwind_begin; with all registers, prologues that keep the frame in another one can be left. */
static __always_inline void unwind_begin_registers(struct unwind_state *state, struct pt_regs *regs)
{
    unwind_begin(state, regs->ip, regs->sp, regs->bp);
    state->flags = UNWIND_EXACT | UNWIND_REGISTERS | UNWIND_BX_KNOWN;
    state->bx = regs->bx;
    state->registers[0] = regs->ax;
    state->registers[1] = regs->dx;
    state->registers[2] = regs->cx;
    state->registers[3] = regs->bx;
    state->registers[4] = regs->si;
    state->registers[5] = regs->di;
    state->registers[6] = regs->bp;
    state->registers[7] = regs->sp;
    state->registers[8] = regs->r8;
    state->registers[9] = regs->r9;
    state->registers[10] = regs->r10;
    state->registers[11] = regs->r11;
    state->registers[12] = regs->r12;
    state->registers[13] = regs->r13;
    state->registers[14] = regs->r14;
    state->registers[15] = regs->r15;
}

#include "unwind_search.h"

/* Puts the original return address in place of a return probe's trampoline: 1 when there is one.
 * It was in the slot below sp; in the leaf the kernel's trampoline may have pushed three
 * registers since (arch/x86/kernel/uprobes.c, uretprobe_trampoline_entry, Linux 6.11). */
static __always_inline int unwind_original_return(struct unwind_state *state)
{
    u64 original = trapped_return(state, state->sp - 8);
    if (!original && !state->stack.count) {
        original = trapped_return(state, state->sp + 16);
        if (original)
            state->sp += 24;
    }
    if (!original || original == state->ip)
        return 0;
    state->ip = original;
    state->flags &= ~UNWIND_EXACT;
    return 1;
}

/* Reads a register of this frame: 0, or a cause. */
static __always_inline u32 unwind_register(struct unwind_state *state, u8 reg, u64 *value)
{
    if (reg == 7) {
        *value = state->sp;
    } else if (reg == 6) {
        if (state->flags & UNWIND_BP_UNKNOWN)
            return UNWIND_UNSUPPORTED;
        *value = state->bp;
    } else if (reg == 3 && state->flags & UNWIND_BX_KNOWN) {
        *value = state->bx;
    } else {
        if (state->stack.count != 1 || !(state->flags & UNWIND_REGISTERS))
            return UNWIND_UNSUPPORTED;
        *value = state->registers[reg & 15];
    }
    return 0;
}

/* Functions that realign their stack keep the CFA in a register other than rbp at their end, where
 * GCC says that the caller's rbp is in memory at rbp even when it is already back. While it is not,
 * rbp points below a copy of the return address (GCC's expand_prologue for the DRAP register). */
static __always_inline int unwind_bp_is_back(struct unwind_state *state, u64 cfa)
{
    u64 original, copy;
    if (bpf_probe_read_user(&original, 8, (void *)(cfa - 8)) ||
        bpf_probe_read_user(&copy, 8, (void *)(state->bp + 8)))
        return 1;
    return original != copy;
}

/* Restores rbx by a wide rule of a table that follows it. */
static __always_inline u32 unwind_wide_bx(struct unwind_state *state, s32 slot, u64 cfa)
{
    if (!slot)
        return 0;
    if (slot == UNWIND_SLOT_LOST) {
        state->flags &= ~UNWIND_BX_KNOWN;
        return 0;
    }
    state->flags |= UNWIND_BX_KNOWN;
    if (bpf_probe_read_user(&state->bx, 8, (void *)(cfa + 8 * (s64)slot)))
        return UNWIND_UNREADABLE;
    return 0;
}

/* Goes to the caller by a wide rule. */
static __always_inline u32 unwind_wide(struct unwind_state *state, u32 at, u64 *cfa)
{
    struct unwind_rule *rule = unwind_rules.lookup(&at);
    if (!rule)
        return UNWIND_UNSUPPORTED;
    u64 value;
    u32 cause = unwind_register(state, rule->reg, &value);
    if (cause)
        return cause;
    value += (s64)rule->offset;
    if (rule->is_memory && bpf_probe_read_user(&value, 8, (void *)value))
        return UNWIND_UNREADABLE;
    *cfa = value + (s64)rule->added;
    cause = unwind_wide_bx(state, (s8)rule->bx, *cfa);
    if (cause)
        return cause;
    if (rule->bp == UNWIND_BP_SAME)
        return 0;
    if (rule->bp == UNWIND_BP_LOST ||
        (rule->bp == UNWIND_BP_AT_BP && state->flags & UNWIND_BP_UNKNOWN)) {
        state->flags |= UNWIND_BP_UNKNOWN;
        return 0;
    }
    if (rule->bp == UNWIND_BP_AT_BP && !rule->is_memory && unwind_bp_is_back(state, *cfa))
        return 0;
    u64 place = rule->bp == UNWIND_BP_AT_CFA ? *cfa : state->bp;
    if (bpf_probe_read_user(&value, 8, (void *)(place + (s64)rule->bp_offset)))
        return UNWIND_UNREADABLE;
    state->bp = value;
    state->flags &= ~UNWIND_BP_UNKNOWN;
    return 0;
}

/* Goes from a signal handler's trampoline to what the signal interrupted. Offsets in ucontext_t:
 * uc_mcontext.gregs from 40, REG_RBP 10, REG_RBX 11, REG_RSP 15, REG_RIP 16 (glibc
 * sys/ucontext.h). */
static __always_inline u32 unwind_signal(struct unwind_state *state)
{
    u64 bp_bx[2], sp_ip[2];
    if (bpf_probe_read_user(bp_bx, sizeof(bp_bx), (void *)(state->sp + 120)) ||
        bpf_probe_read_user(sp_ip, sizeof(sp_ip), (void *)(state->sp + 160)))
        return UNWIND_UNREADABLE;
    state->bp = bp_bx[0];
    state->bx = bp_bx[1];
    state->sp = sp_ip[0];
    state->ip = sp_ip[1];
    state->flags = UNWIND_EXACT | UNWIND_BX_KNOWN;
    return UNWIND_MORE;
}

/* Reads return address and rbp below the CFA and makes the caller the current frame. */
static __always_inline u32 unwind_return(struct unwind_state *state, u64 cfa, s32 slot)
{
    u64 saved[2];
    if (cfa <= state->sp)
        return UNWIND_BACKWARDS;
    if (bpf_probe_read_user(saved, sizeof(saved), (void *)(cfa - 16)))
        return UNWIND_UNREADABLE;
    if (slot == UNWIND_SLOT_LOST) {
        state->flags |= UNWIND_BP_UNKNOWN;
    } else if (slot) {
        if (slot != -2 && bpf_probe_read_user(saved, 8, (void *)(cfa + 8 * (s64)slot)))
            return UNWIND_UNREADABLE;
        state->bp = saved[0];
        state->flags &= ~UNWIND_BP_UNKNOWN;
    }
    if (saved[1] < 4096 || saved[1] >> 56)
        return UNWIND_BAD_ADDRESS;
    state->ip = saved[1];
    state->sp = cfa;
    state->flags &= ~UNWIND_EXACT;
    return UNWIND_MORE;
}

/* Goes to the caller of a leaf that took its return address off the stack, as vfork does. */
static __always_inline u32 unwind_register_return(struct unwind_state *state, u8 reg, u64 added)
{
    if (state->stack.count != 1 || !(state->flags & UNWIND_REGISTERS))
        return UNWIND_UNSUPPORTED;
    state->ip = state->registers[reg & 15];
    state->sp += added;
    state->flags &= ~UNWIND_EXACT;
    return UNWIND_MORE;
}

/* Adds the current frame to the stack. */
static __always_inline void unwind_record(struct unwind_state *state)
{
    u32 at = state->stack.depth;
    state->stack.depth = at + 1;
    if (at < UNWIND_MAX_FRAMES)
        state->stack.count = at + 1;
    else
        at = UNWIND_MAX_FRAMES - UNWIND_ROOT_FRAMES + at % UNWIND_ROOT_FRAMES;
    state->stack.frames[at & (UNWIND_MAX_FRAMES - 1)] = state->ip;
    state->key = unwind_key(state->key, state->ip);
    state->stack.check = unwind_check(state->stack.check, state->ip);
}

/* Records the current frame and goes to its caller: UNWIND_MORE, or why that was the last one. */
static __always_inline u32 unwind_step(struct unwind_state *state)
{
    u64 pc = state->ip, cfa = 0;
    if (state->stack.depth >= UNWIND_MAX_DEPTH)
        return UNWIND_TOO_DEEP;
    if (!(state->flags & UNWIND_EXACT))
        pc--; /* a call at a function's very end returns to what follows it */
    struct unwind_mapping *mapping = unwind_find_mapping(state, pc);
    if (!mapping && unwind_original_return(state))
        return UNWIND_MORE;
    unwind_record(state);
    if (!mapping)
        return UNWIND_UNKNOWN_MAPPING;
    if (!mapping->count)
        return UNWIND_NO_TABLE;
    if (!mapping->follows_bx)
        state->flags &= ~UNWIND_BX_KNOWN;

    u32 word = unwind_find_word(state, mapping, pc);
    u32 offset = word & UNWIND_OFFSET_MASK;
    s32 slot = (s8)(word >> UNWIND_SLOT_SHIFT);
    u32 cause = UNWIND_MORE;
    switch (word >> UNWIND_KIND_SHIFT) {
    case UNWIND_KIND_RSP:
        cfa = state->sp + 8 * (u64)offset;
        break;
    case UNWIND_KIND_RBP:
        if (state->flags & UNWIND_BP_UNKNOWN)
            cause = UNWIND_UNSUPPORTED;
        cfa = state->bp + 8 * (u64)offset;
        break;
    case UNWIND_KIND_PLT:
        cfa = state->sp + 8 * (u64)offset + ((pc & 15) >= slot ? 8 : 0);
        slot = 0;
        break;
    case UNWIND_KIND_END:
        return UNWIND_WHOLE;
    case UNWIND_KIND_CLONE: /* the child has 0 from its system call, the parent its number */
        if (state->stack.count == 1 && state->flags & UNWIND_REGISTERS && !state->registers[0])
            return UNWIND_WHOLE;
        cfa = state->sp + 8;
        slot = 0;
        break;
    case UNWIND_KIND_SIGNAL:
        return unwind_signal(state);
    case UNWIND_KIND_REGISTER:
        return unwind_register_return(state, (u8)slot, 8 * (u64)offset);
    case UNWIND_KIND_WIDE:
        cause = unwind_wide(state, mapping->rules + offset, &cfa);
        slot = 0;
        break;
    case UNWIND_KIND_NONE:
        return UNWIND_NO_RULE;
    default:
        return UNWIND_UNSUPPORTED;
    }
    return cause ? cause : unwind_return(state, cfa, slot);
}

/* Unwinds up to UNWIND_FRAMES_PER_CALL frames: UNWIND_MORE, or the cause, which is stored too. */
static __always_inline u32 unwind_some(struct unwind_state *state)
{
    u32 cause = UNWIND_MORE;
    REPEAT(UNWIND_FRAMES_PER_CALL)
    {
        cause = unwind_step(state);
        if (cause) {
            state->stack.cause = cause;
            break;
        }
    }
    return cause;
}

/* Says that the program could not be continued: no tail call is left, or none was possible. */
static __always_inline void unwind_give_up(struct unwind_state *state)
{
    state->stack.cause = UNWIND_TAIL_CALL;
}
