/* Helpers (enum bpf_func_id, linux/bpf.h) that BCC 0.18 does not declare, of Linux 5.15, and one that
 * it declares otherwise, of 5.8. */
#pragma once

static u64 (*const get_attach_cookie)(void *context) = (void *)174;
static struct pt_regs *(*const task_pt_regs)(void *task) = (void *)175;
static long (*const seq_write)(void *seq, const void *data, u32 bytes) = (void *)127;
