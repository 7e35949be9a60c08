/* SPDX-License-Identifier: MIT
 *
 * Follows ao2 objects from their birth: where they are allocated, every change of their references, and
 * their end.
 *
 * Nearly all objects are not followed: their changes end after one look into a map. Which objects are
 * born and chosen is decided when __ao2_alloc() is entered; only for those the return is trapped,
 * which gives the address. All changes of references pass __ao2_ref(), main/astobj2.c, Asterisk 14 to 23.
 */
#include <uapi/linux/ptrace.h>
#include "target.h"
#include "helpers.h"
#include "kfuncs.h"
#include "wire.h"
#include "leaks_wire.h"
#include "unwind_store.h"

#define NO_RETURN_PROBE SESSION /* see lookup_state.h */

#define OBJECT_PROGRAMS       1
#define PROGRAM_OBJECT_UNWIND 0
#define COUNT_OFFSET          -8 /* struct __priv_data, ref_counter: 16.1 and later */

/* A chosen object that is being allocated by this thread, and the event that waits for its stack. */
struct object_thread {
    u64 entry_sp; /* 0: none is being allocated */
    u64 has_stacks;
    struct object_type type;
    u64 caller;
    struct object_event event;
    struct unwind_state unwind;
};

BPF_ARRAY(object_control, struct object_control, WATCH_COUNT);
BPF_ARRAY(object_state, struct object_state, WATCH_COUNT);
BPF_HASH(object_types, struct object_type, struct object_births, 4096);
BPF_HASH(object_links, struct object_link, u64, 16384);
BPF_HASH(followed_objects, u64, struct followed_object, SIZED);
BPF_HASH(object_threads, u32, struct object_thread, SIZED); /* by tid */
BPF_ARRAY(no_object_thread, struct object_thread, 1);       /* zeroes */
BPF_HASH(cookies, u64, u64, 1024); /* by probe address; only for kernels without cookies */
BPF_RINGBUF_OUTPUT(object_events, SIZED);
BPF_RINGBUF_OUTPUT(object_stops, 1); /* a record wakes user space: an allowance is spent */
BPF_PROG_ARRAY(object_programs, OBJECT_PROGRAMS);

static __always_inline void charge(struct object_control *c, struct object_state *s, u32 trap_ns)
{
    __sync_fetch_and_add(&s->trap_ns, trap_ns);
    __sync_fetch_and_add(&s->spent_ns, trap_ns + c->program_ns);
    u64 allowance_ns = c->allowance_ns;
    if (s->spent_ns > allowance_ns && s->used_up_ns != allowance_ns) {
        s->used_up_ns = allowance_ns;
        object_stops.ringbuf_output(&allowance_ns, sizeof(allowance_ns), BPF_RB_FORCE_WAKEUP);
    }
}

static __always_inline u64 get_cookie(struct pt_regs *ctx)
{
#if COOKIES_BY_ADDRESS
    u64 address = ctx->ip;
    u64 *cookie = cookies.lookup(&address);
    return cookie ? *cookie : ~0ULL;
#else
    return get_attach_cookie(ctx);
#endif
}

static __always_inline u32 trap_cost(struct object_control *c, u64 cookie)
{
    return cookie & STEPPED ? c->stepped_trap_ns : c->trap_ns;
}

static __always_inline struct object_thread *this_object_thread(void)
{
    u32 tid = bpf_get_current_pid_tgid();
    int zero = 0;
    struct object_thread *t = object_threads.lookup(&tid);
    struct object_thread *empty = no_object_thread.lookup(&zero);
    if (t || !empty || object_threads.insert(&tid, empty))
        return t;
    return object_threads.lookup(&tid);
}

static __always_inline void send(struct object_state *s, struct object_event *event)
{
    struct followed_object *followed;
    if (!object_events.ringbuf_output(event, sizeof(*event), BPF_RB_NO_WAKEUP))
        return;
    if (event->place == OBJECT_FREE)
        return; /* it will be seen that the object is gone */
    __sync_fetch_and_add(event->place <= OBJECT_INNER_ALLOC ? &s->births_lost : &s->changes_lost,
                         1);
    followed = followed_objects.lookup(&event->object);
    if (followed && followed->id == event->id)
        __sync_fetch_and_add(&followed->changes_lost, 1);
}

/* Whether a change of a followed object is still to be handed over. */
static __always_inline bool has_room(struct object_state *s, struct followed_object *followed)
{
    __sync_fetch_and_add(&s->changes, 1);
    __sync_fetch_and_add(&followed->changes, 1);
    if (followed->changes <= OBJECT_MAX_CHANGES)
        return true;
    __sync_fetch_and_add(&s->changes_lost, 1);
    __sync_fetch_and_add(&followed->changes_lost, 1);
    return false;
}

/* Sends an event after its stack was unwound from the caller on, or without one where that cannot be. */
static __always_inline void send_with_stack(struct pt_regs *ctx, struct object_state *s,
                                            struct object_event *event, u64 caller_sp)
{
    struct object_thread *t = this_object_thread();
    if (t) {
        t->event = *event;
        unwind_begin_caller(&t->unwind, event->caller, caller_sp, ctx->bp);
        object_programs.call(ctx, PROGRAM_OBJECT_UNWIND);
    }
    send(s, event);
}

int object_unwind(struct pt_regs *ctx)
{
    u32 all = WATCH_ALL;
    struct object_state *s = object_state.lookup(&all);
    struct object_thread *t = this_object_thread();
    if (!s || !t)
        return NO_RETURN_PROBE;
    if (unwind_some(&t->unwind) == UNWIND_MORE) {
        object_programs.call(ctx, PROGRAM_OBJECT_UNWIND);
        unwind_give_up(&t->unwind);
    }
    unwind_name(&t->unwind);
    if (!unwind_send(&t->unwind.stack)) {
        t->event.stack = t->unwind.stack.key;
        t->event.check = t->unwind.stack.check;
    }
    send(s, &t->event);
    return NO_RETURN_PROBE;
}

#define CHOSEN        1
#define CHOSEN_STACKS 2 /* and unwound whenever something happens to it */

/* Whether an object of this type is to be followed, whose allocation begins; 0: no. */
static __always_inline u32 choose(struct object_control *c, struct object_state *s,
                                  struct object_type *type)
{
    struct object_births none = {};
    __sync_fetch_and_add(&s->births, 1);
    struct object_births *births = object_types.lookup_or_try_init(type, &none);
    if (!births) {
        __sync_fetch_and_add(&s->births_lost, 1);
        return 0;
    }
    __sync_fetch_and_add(&births->born, 1);
    if (births->window != c->window) {
        births->window = c->window;
        births->chosen = 0;
    }
    if (s->spent_ns >= c->birth_allowance_ns || births->chosen >= c->birth_quota) {
        __sync_fetch_and_add(&s->births_filtered, 1);
        return 0;
    }
    bool is_first = !births->chosen;
    __sync_fetch_and_add(&births->chosen, 1);
    if (is_first || (c->stack_share && bpf_get_prandom_u32() % c->stack_share == 0))
        return CHOSEN_STACKS;
    return CHOSEN;
}

/* An allocation begins. Returns whether its return must be seen. Prototypes: main/astobj2.c,
 * __ao2_alloc(), __ao2_alloc_with_lockobj() and internal_ao2_alloc(). */
static __always_inline bool allocating(struct pt_regs *ctx, struct object_control *c,
                                       struct object_state *s, u64 cookie)
{
    u64 sp = ctx->sp + VALUE_OF(cookie);
    u64 stacked[3]; /* the return address, then the arguments that do not fit into registers */
    struct object_type type = {.destructor = ctx->si, .size = ctx->di};
    if (bpf_probe_read_user(stacked, sizeof(stacked), (void *)sp))
        return false;
    if (PLACE_OF(cookie) == OBJECT_ALLOC) {
        type.file = ctx->r8;
        type.line = ctx->r9;
        type.function = stacked[1];
    } else {
        type.file = ctx->r9;
        type.line = stacked[1];
        type.function = stacked[2];
    }
    u32 chosen = choose(c, s, &type);
    if (!chosen)
        return false;
    struct object_thread *t = this_object_thread();
    if (!t) {
        __sync_fetch_and_add(&s->births_lost, 1);
        return false;
    }
    if (t->entry_sp) /* its return was not seen */
        __sync_fetch_and_add(&s->births_lost, 1);
    t->entry_sp = sp;
    t->has_stacks = chosen == CHOSEN_STACKS;
    t->type = type;
    t->caller = stacked[0];
    return true;
}

static __always_inline u64 new_object_id(void)
{
    return (u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
}

static __always_inline void allocated(struct pt_regs *ctx)
{
    u32 all = WATCH_ALL;
    struct object_control *c = object_control.lookup(&all);
    struct object_state *s = object_state.lookup(&all);
    struct object_thread *t = this_object_thread();
    if (!c || !s || !t)
        return;
    charge(c, s, c->return_trap_ns);
    if (!t->entry_sp || t->entry_sp + 8 != ctx->sp)
        return;
    t->entry_sp = 0;
    u64 object = ctx->ax;
    struct followed_object followed = {.id = new_object_id(), .has_stacks = t->has_stacks};
    if (!object || !c->window || followed_objects.update(&object, &followed)) {
        __sync_fetch_and_add(&s->births_lost, 1);
        return;
    }
    struct object_event event = {
        .time_ns = bpf_ktime_get_ns(),
        .id = followed.id,
        .object = object,
        .file = t->type.file,
        .function = t->type.function,
        .line = t->type.line,
        .size = t->type.size,
        .container = t->type.destructor,
        .caller = t->caller,
        .tid = bpf_get_current_pid_tgid(),
        .place = OBJECT_ALLOC,
    };
    if (followed.has_stacks)
        send_with_stack(ctx, s, &event, ctx->sp);
    else
        send(s, &event);
}

/* References of an object change, if it is followed. */
static __always_inline void referenced(struct pt_regs *ctx, struct object_control *c,
                                       struct object_state *s, u64 cookie)
{
    u64 object = ctx->di, sp = ctx->sp + VALUE_OF(cookie);
    struct followed_object *followed = followed_objects.lookup(&object);
    if (!followed || !(s32)ctx->si || !c->window || !has_room(s, followed))
        return;
    struct object_event event = {
        .time_ns = bpf_ktime_get_ns(),
        .id = followed->id,
        .object = object,
        .file = ctx->cx,
        .line = ctx->r8,
        .function = ctx->r9,
        .size = followed->changes_lost,
        .tid = bpf_get_current_pid_tgid(),
        .delta = ctx->si,
        .place = OBJECT_REFERENCE,
    };
    bpf_probe_read_user(&event.caller, sizeof(event.caller), (void *)sp);
    bpf_probe_read_user(&event.before, sizeof(event.before), (void *)(object + COUNT_OFFSET));
    bool has_stacks = followed->has_stacks;
    u32 frees = WATCH_FREES;
    struct object_control *ends = object_control.lookup(&frees);
    if (ends && !ends->window && event.before + event.delta == 0)
        followed_objects.delete(&object); /* no probe will see its end */
    if (has_stacks)
        send_with_stack(ctx, s, &event, sp + 8);
    else
        send(s, &event);
}

/* An object is put into a container, or taken out by name. */
static __always_inline void linked(struct pt_regs *ctx, struct object_control *c,
                                   struct object_state *s, u64 cookie)
{
    u64 object = ctx->si, none = 0, stacked[2] = {};
    struct object_link link = {
        .container = ctx->di, .file = ctx->r8, .line = ctx->r9, .place = PLACE_OF(cookie)};
    if (!c->window)
        return;
    bpf_probe_read_user(stacked, sizeof(stacked), (void *)(ctx->sp + VALUE_OF(cookie)));
    link.function = stacked[1];
    u64 *count = object_links.lookup_or_try_init(&link, &none);
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        __sync_fetch_and_add(&s->links_lost, 1);
    struct followed_object *followed = followed_objects.lookup(&object);
    if (!followed || !has_room(s, followed))
        return;
    struct object_event event = {
        .time_ns = bpf_ktime_get_ns(),
        .id = followed->id,
        .object = object,
        .file = link.file,
        .line = link.line,
        .function = link.function,
        .caller = stacked[0],
        .container = link.container,
        .tid = bpf_get_current_pid_tgid(),
        .place = link.place,
    };
    bpf_probe_read_user(&event.before, sizeof(event.before), (void *)(object + COUNT_OFFSET));
    send(s, &event);
}

static __always_inline bool entered(struct pt_regs *ctx)
{
    u64 cookie = get_cookie(ctx);
    u32 all = WATCH_ALL;
    struct object_control *c = object_control.lookup(&all);
    struct object_state *s = object_state.lookup(&all);
    if (!c || !s)
        return false;
    charge(c, s, trap_cost(c, cookie));
    u32 place = PLACE_OF(cookie);
    if (place == OBJECT_REFERENCE)
        referenced(ctx, c, s, cookie);
    else if (place == OBJECT_LINK || place == OBJECT_UNLINK)
        linked(ctx, c, s, cookie);
    else if (place <= OBJECT_INNER_ALLOC && c->window)
        return allocating(ctx, c, s, cookie);
    return false;
}

#if SESSION
/* Linux 6.13: one program and one link for all probes; the return is trapped only where needed. */
int object_session(struct pt_regs *ctx)
{
    if (session_is_return(ctx)) {
        allocated(ctx);
        return 0;
    }
    return entered(ctx) ? 0 : 1; /* 1: do not run at the function's return */
}
#endif

/* Older kernels: two programs. */
int object_entry(struct pt_regs *ctx)
{
    entered(ctx);
    return 0;
}

int object_return(struct pt_regs *ctx)
{
    allocated(ctx);
    return 0;
}

/* verifier: each is read by itself, or the compiler would read at an address that it chooses. */
#define IF_KEPT(number, name)                       \
    do {                                            \
        u64 value = ctx->name;                      \
        asm volatile("" : "+r"(value));             \
        object = wanted == number ? value : object; \
    } while (0)

/* The value of a register by the hardware's number: of those in which compilers keep an object. */
static __always_inline u64 kept_register(struct pt_regs *ctx, u32 wanted)
{
    u64 object = 0;
    IF_KEPT(3, bx);
    IF_KEPT(5, bp);
    IF_KEPT(7, di);
    IF_KEPT(12, r12);
    IF_KEPT(13, r13);
    IF_KEPT(14, r14);
    IF_KEPT(15, r15);
    return object;
}

/* The last reference of an object was given back. */
int object_freed(struct pt_regs *ctx)
{
    u64 cookie = get_cookie(ctx);
    u32 frees = WATCH_FREES;
    struct object_control *c = object_control.lookup(&frees);
    struct object_state *s = object_state.lookup(&frees);
    if (!c || !s)
        return NO_RETURN_PROBE;
    charge(c, s, trap_cost(c, cookie));
    u64 object = kept_register(ctx, VALUE_OF(cookie));
    struct followed_object *followed = followed_objects.lookup(&object);
    if (!followed)
        return NO_RETURN_PROBE;
    struct object_event event = {
        .time_ns = bpf_ktime_get_ns(),
        .id = followed->id,
        .object = object,
        .size = followed->changes_lost,
        .tid = bpf_get_current_pid_tgid(),
        .place = OBJECT_FREE,
    };
    followed_objects.delete(&object);
    send(s, &event);
    object_programs.call(ctx,
                         OBJECT_PROGRAMS); /* there is none: see keep_own_stack, entry_counts.h */
    return NO_RETURN_PROBE;
}

/* What a probe costs is measured with these. */
int calibrate_entry(struct pt_regs *ctx)
{
    return 1; /* in a session: not at the return */
}

int calibrate_return(struct pt_regs *ctx)
{
    return 0;
}
