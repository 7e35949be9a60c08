/*
 * Where the kernel saved a thread's registers when it left user mode.
 *
 * -DCPU_TASK_REGISTERS=0: for kernels that lack bpf_task_pt_regs (before 5.15). With -DCPU_TASK_STACK,
 * the place of `stack` in struct task_struct, the registers are found without it.
 */
#pragma once

#include <uapi/linux/ptrace.h>
#include "helpers.h"

#ifndef CPU_TASK_REGISTERS
#define CPU_TASK_REGISTERS 1
#endif
/* THREAD_SIZE of x86-64 (arch/x86/include/asm/page_64_types.h), without KASAN. */
#define KERNEL_STACK_BYTES 16384

static __always_inline void *current_task(void)
{
#if CPU_TASK_REGISTERS
    return (void *)bpf_get_current_task_btf();
#else
    return (void *)bpf_get_current_task();
#endif
}

/* Their place, 0 if that is not known. Who reads them has to look at the mode in cs: in kernels whose
 * stacks are larger, other data lies there. */
static __always_inline void *saved_registers(void *task)
{
#if CPU_TASK_REGISTERS
    return task_pt_regs(task);
#elif defined(CPU_TASK_STACK)
    void *stack;
    if (bpf_probe_read_kernel(&stack, sizeof(stack), task + CPU_TASK_STACK))
        return 0;
    return stack + KERNEL_STACK_BYTES - sizeof(struct pt_regs);
#else
    return 0;
#endif
}
