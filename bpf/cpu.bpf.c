/*
 * Samples the CPU use of one process: user stacks by unwind.h, kernel frames on top.
 *
 * Attached to perf events of a clock, for every thread or on every CPU.
 *
 * -DCPU_KERNEL_FRAMES=0: leave kernel frames out.
 * saved_registers.h has more macros.
 */
#include <uapi/linux/bpf_perf_event.h>
#define TRAPS_RETURNS
#include "target.h"
#include "cpu_wire.h"
#include "saved_registers.h"
#include "kfuncs.h"
#include "wire.h"
#include "unwind_store.h"
#include "lookup_state.h"
#include "threads.h"

#ifndef CPU_KERNEL_FRAMES
#define CPU_KERNEL_FRAMES 1
#endif
#define CPU_PUSH_SITES 1024

BPF_PERCPU_ARRAY(cpu_states, struct unwind_state, 1);
BPF_PERCPU_ARRAY(cpu_counters, u64, CPU_COUNTERS);
BPF_PERCPU_ARRAY(cpu_times, struct cpu_time, 1);
BPF_PROG_ARRAY(cpu_programs, 1);
/* Probed pushes of a register: address of the instruction, what it pushes (cpu_wire.h). */
BPF_TABLE("hash", u64, u32, cpu_push_sites, CPU_PUSH_SITES);

static __always_inline void cpu_count(u32 counter)
{
    u64 *value = cpu_counters.lookup(&counter);
    if (value)
        *value += 1;
}

static __always_inline struct cpu_time *cpu_time(void)
{
    u32 zero = 0;
    return cpu_times.lookup(&zero);
}

/* Adds the kernel's frames behind the user's, which are all there. */
static __always_inline void cpu_add_kernel_frames(struct bpf_perf_event_data *ctx,
                                                  struct unwind_stack *stack)
{
#if CPU_KERNEL_FRAMES
    u64 at = stack->count;
    asm volatile("" : "+r"(at)); /* verifier: else the compiler compares something else */
    if ((ctx->regs.cs & 3) == 3 || at > UNWIND_MAX_FRAMES)
        return;
    int bytes = bpf_get_stack(ctx, &stack->frames[at], 8 * UNWIND_MAX_KERNEL_FRAMES, 0);
    stack->kernel_count = bytes > 0 ? (u32)bytes / 8 : 0;
#endif
}

static __always_inline int cpu_finish(struct bpf_perf_event_data *ctx, struct unwind_state *state)
{
    struct unwind_stack *stack = &state->stack;
    struct cpu_time *time = cpu_time();
    if (!time)
        return 0;
    cpu_add_kernel_frames(ctx, stack);
    stack->time_ns = time->started_ns;
    stack->tid = (u32)bpf_get_current_pid_tgid();
    unwind_name(state);
    if (unwind_send(stack))
        cpu_count(CPU_LOST);
    else
        cpu_count(stack->cause == UNWIND_WHOLE ? CPU_KEPT : CPU_TRUNCATED);
    time->taken_ns += bpf_ktime_get_ns() - time->started_ns;
    return 0;
}

/* While the kernel handles a probed push, ip is first behind the breakpoint's one byte, then at the
 * push, and a short time behind sp (emulate_push_stack in arch/x86/kernel/uprobes.c). Whether the
 * push is done shows on the stack: then the register's value is on top of it. */
static __always_inline void cpu_correct_push(struct unwind_state *state)
{
    u64 here = state->ip, before = here - 1, top;
    u32 *found = cpu_push_sites.lookup(&here);
    u32 at = found ? *found : 0;
    found = cpu_push_sites.lookup(&before);
    u32 behind = found ? *found : 0;
    if (!(at | behind) || bpf_probe_read_user(&top, 8, (void *)state->sp))
        return;
    if (behind && top == state->registers[behind & 15] && CPU_PUSH_BYTES(behind) == 1)
        return;
    if (at & CPU_PUSH_IS_FIRST && top == state->registers[at & 15])
        state->ip += CPU_PUSH_BYTES(at);
    else if (behind)
        state->ip = before;
}

/* x86-64 system calls, arch/x86/entry/syscalls/syscall_64.tbl */
#define SYSCALL_CLONE      56
#define SYSCALL_EXIT       60
#define SYSCALL_EXIT_GROUP 231
#define SYSCALL_CLONE3     435

/* Whether the thread has no callers: it is only being born, so that what lies on its new stack was
 * put there for its start; or it is ending and has given its memory back. A parent in clone has
 * -ENOSYS in ax until the call is over, and then the child's number. */
static __always_inline bool cpu_is_alone(struct pt_regs *regs)
{
    u64 call = regs->orig_ax, top;
    if (call == SYSCALL_CLONE || call == SYSCALL_CLONE3)
        return !regs->ax;
    if (call == SYSCALL_EXIT || call == SYSCALL_EXIT_GROUP)
        return bpf_probe_read_user(&top, 8, (void *)regs->sp);
    return false;
}

/* Begins with the user's registers: UNWIND_MORE, or a cause. */
static __always_inline u32 cpu_begin_in_kernel(struct unwind_state *state)
{
    struct pt_regs regs;
    void *saved = saved_registers(current_task());
    if (!bpf_probe_read_kernel(&regs, sizeof(regs), saved) && (regs.cs & 3) == 3) {
        unwind_begin_registers(state, &regs);
        if (cpu_is_alone(&regs)) {
            unwind_record(state);
            return UNWIND_WHOLE;
        }
        cpu_correct_push(state);
        return UNWIND_MORE;
    }
    unwind_begin(state, 0, 0, 0);
    return UNWIND_NO_REGISTERS;
}

/* Unwinds on, or stores what is done. */
int cpu_continue(struct bpf_perf_event_data *ctx)
{
    u32 zero = 0;
    struct unwind_state *state = cpu_states.lookup(&zero);
    if (!state)
        return 0;
    if (state->stack.cause == UNWIND_MORE && unwind_some(state) == UNWIND_MORE) {
        cpu_programs.call(ctx, 0);
        unwind_give_up(state);
    }
    return cpu_finish(ctx, state);
}

/* Says where to unwind from; all else is cpu_continue's, so that it is compiled and verified once. */
int cpu_sample(struct bpf_perf_event_data *ctx)
{
    u32 zero = 0;
    struct unwind_state *state = cpu_states.lookup(&zero);
    struct cpu_time *time = cpu_time();
    if (!state || !time || bpf_get_current_pid_tgid() >> 32 != target_tgid())
        return 0; /* somebody else's time: no sample */
    cpu_count(CPU_FIRED);
    time->started_ns = bpf_ktime_get_ns();
    if ((ctx->regs.cs & 3) == 3) /* user mode: privilege level 3 */
        unwind_begin_registers(state, &ctx->regs);
    else
        state->stack.cause = cpu_begin_in_kernel(state);
    cpu_programs.call(ctx, 0);
    cpu_count(CPU_LOST);
    return 0;
}
