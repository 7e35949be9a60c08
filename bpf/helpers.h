/* Helpers of Linux 5.15 (enum bpf_func_id, linux/bpf.h) that BCC 0.18 does not declare. */
#pragma once

static u64 (*const get_attach_cookie)(void *context) = (void *)174;
static struct pt_regs *(*const task_pt_regs)(void *task) = (void *)175;
