/* Unwinds at every probe and reports where it was and which stack that gave. */
#ifndef TRAPS_RETURNS /* cpu.bpf.c has defined it where it comes first */
#define TRAPS_RETURNS
#define OWN_RETURNS
#endif
#include "unwind_store.h"

struct slot {
    u64 address; /* on the stack */
    u32 tid;
    u32 zero;
};

BPF_TABLE("hash", struct slot, u64, return_addresses, 1024);

#ifdef OWN_RETURNS
static __always_inline u64 trapped_return(struct unwind_state *state, u64 address)
{
    struct slot slot = {.address = address, .tid = (u32)bpf_get_current_pid_tgid()};
    u64 *original = return_addresses.lookup(&slot);
    return original ? *original : 0;
}
#endif

struct at_probe {
    u64 what;       /* address of the probe, or thread */
    u64 key, check; /* the stack's name; 0: it was lost */
};

BPF_TABLE("hash", u32, struct unwind_state, probe_states, 64);
BPF_PROG_ARRAY(probe_programs, 1);
BPF_PROG_ARRAY(probe_stops, 1);
BPF_RINGBUF_OUTPUT(probe_hits, 1024);
BPF_ARRAY(probe_armed, u32, 1);

static __always_inline int probe_report(struct unwind_state *state, u64 what)
{
    struct at_probe *hit = probe_hits.ringbuf_reserve(sizeof(struct at_probe));
    if (!hit)
        return 0;
    unwind_name(state);
    bool is_sent = !unwind_send(&state->stack);
    hit->what = what;
    hit->key = is_sent ? state->stack.key : 0;
    hit->check = is_sent ? state->stack.check : 0;
    probe_hits.ringbuf_submit(hit, 0);
    return 0;
}

static __always_inline int probe_run(void *ctx, struct unwind_state *state)
{
    if (unwind_some(state) == UNWIND_MORE) {
        probe_programs.call(ctx, 0);
        unwind_give_up(state);
    }
    return probe_report(state, state->stack.frames[0]);
}

int probe_continue(struct pt_regs *ctx)
{
    u32 tid = (u32)bpf_get_current_pid_tgid();
    struct unwind_state *state = probe_states.lookup(&tid);
    return state ? probe_run(ctx, state) : 0;
}

int probe_hit(struct pt_regs *ctx)
{
    u32 tid = (u32)bpf_get_current_pid_tgid();
    struct unwind_state *state = probe_states.lookup(&tid);
    if (!state)
        return 0;
    unwind_begin_registers(state, ctx);
    return probe_run(ctx, state);
}

/* Entry of a function that also has a return probe. */
int probe_entry(struct pt_regs *ctx)
{
    struct slot slot = {.address = ctx->sp, .tid = (u32)bpf_get_current_pid_tgid()};
    u64 address = 0;
    if (!bpf_probe_read_user(&address, 8, (void *)ctx->sp))
        return_addresses.insert(&slot, &address);
    return 0;
}

int probe_return(struct pt_regs *ctx)
{
    struct slot slot = {.address = ctx->sp - 8, .tid = (u32)bpf_get_current_pid_tgid()};
    return_addresses.delete(&slot);
    return 0;
}

/* As probe_hit, for any thread of the target, once each time it is armed; stops the target there.
 * The first of 64 states is the one hit's own: nobody else is let in until it is armed again. */
int probe_stop(struct pt_regs *ctx)
{
    u32 zero = 0;
    u32 *armed = probe_armed.lookup(&zero);
    struct unwind_state *state = probe_states.lookup(&zero);
    if (!armed || !state || !*armed)
        return 0;
    *armed = 0;
    unwind_begin_registers(state, ctx);
    bpf_send_signal(19); /* SIGSTOP */
    probe_stops.call(ctx, 0);
    return 0;
}

int probe_stop_unwind(struct pt_regs *ctx)
{
    u32 zero = 0;
    struct unwind_state *state = probe_states.lookup(&zero);
    if (!state)
        return 0;
    if (unwind_some(state) == UNWIND_MORE) {
        probe_stops.call(ctx, 0);
        unwind_give_up(state);
    }
    return probe_report(state, (u32)bpf_get_current_pid_tgid());
}
