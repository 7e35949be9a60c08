/* Registers as uprobe and perf programs see them (x86-64; arch/x86/include/asm/ptrace.h names). */
#pragma once

#include <linux/types.h>

struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx;
    unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
    unsigned long orig_ax, ip, cs, flags, sp, ss;
};
