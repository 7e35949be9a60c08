/* SPDX-License-Identifier: MIT
 *
 * Follows ao2 objects from their birth: where they are allocated, every change of their references, and
 * their end.
 *
 * Nearly all objects are not followed: their changes end after one look into a map. Which objects are
 * born and chosen is decided when __ao2_alloc() is entered; its return gives the address. All changes of
 * references pass __ao2_ref(), main/astobj2.c, Asterisk 14 to 23.
 */
#include <uapi/linux/ptrace.h>
#include "target.h"
#include "helpers.h"
#include "kfuncs.h"
#include "wire.h"
#include "leaks_wire.h"
#include "unwind_store.h"

#include "object_state.h"
#include "object_births.h"

int object_unwind(struct pt_regs *ctx)
{
    u32 all = WATCH_ALL;
    struct object_state *s = object_state.lookup(&all);
    struct object_thread *t = this_object_thread();
    if (!s || !t)
        return 0;
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
    forget_object_thread(t);
    return 0;
}

/* References of an object change, if it is followed. */
static __always_inline void referenced(struct pt_regs *ctx, struct object_control *c,
                                       struct object_state *s, u64 cookie)
{
    u64 object = ctx->di, sp = ctx->sp + VALUE_OF(cookie);
    struct followed_object *followed = followed_objects.lookup(&object);
    if (!followed || !(s32)ctx->si || !c->window || !has_room(c, s, followed))
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
    if (!followed || !has_room(c, s, followed))
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

static __always_inline void entered(struct pt_regs *ctx)
{
    u64 cookie = get_cookie(ctx);
    u32 all = WATCH_ALL;
    struct object_control *c = object_control.lookup(&all);
    struct object_state *s = object_state.lookup(&all);
    if (!c || !s)
        return;
    charge(c, s, trap_cost(c, cookie));
    u32 place = PLACE_OF(cookie);
    if (place == OBJECT_REFERENCE)
        referenced(ctx, c, s, cookie);
    else if (place == OBJECT_LINK || place == OBJECT_UNLINK)
        linked(ctx, c, s, cookie);
    else if (place <= OBJECT_INNER_ALLOC && c->window)
        allocating(ctx, c, s, cookie);
}

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
        return 0;
    charge(c, s, trap_cost(c, cookie));
    u64 object = kept_register(ctx, VALUE_OF(cookie));
    struct followed_object *followed = followed_objects.lookup(&object);
    if (!followed)
        return 0;
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
    return 0;
}

/* What a probe costs is measured with this. */
int calibrate_return(struct pt_regs *ctx)
{
    return 0;
}
