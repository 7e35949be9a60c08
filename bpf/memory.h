/* How the target's memory is read.
 *
 * BCC wants to know whether this kernel has bpf_probe_read_user, and loads all kernel symbols anew
 * for every call of that name (check_bpf_probe_read_user in frontends/clang/b_frontend_action.cc,
 * BCC 0.26): two thirds of the time that our programs took to compile. Every kernel that can run us
 * has it, so it is called by another name.
 */
#pragma once

static long (*const read_user)(void *to, u32 bytes,
                               const void *from) = (void *)BPF_FUNC_probe_read_user;
#define bpf_probe_read_user(to, bytes, from) read_user(to, bytes, from)
