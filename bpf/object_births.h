/* The allocation of objects: which are chosen to be followed, and their birth. */
#pragma once

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

/* An allocation begins. Prototypes: main/astobj2.c,
 * __ao2_alloc(), __ao2_alloc_with_lockobj() and internal_ao2_alloc(). */
static __always_inline void allocating(struct pt_regs *ctx, struct object_control *c,
                                       struct object_state *s, u64 cookie)
{
    u64 sp = ctx->sp + VALUE_OF(cookie);
    u64 stacked[3]; /* the return address, then the arguments that do not fit into registers */
    struct object_type type = {.destructor = ctx->si, .size = ctx->di};
    if (bpf_probe_read_user(stacked, sizeof(stacked), (void *)sp))
        return;
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
        return;
    struct object_thread *t = this_object_thread();
    if (!t) {
        __sync_fetch_and_add(&s->births_lost, 1);
        return;
    }
    if (t->entry_sp) /* its return came after a stretch */
        __sync_fetch_and_add(&s->births_filtered, 1);
    t->entry_sp = sp;
    t->has_stacks = chosen == CHOSEN_STACKS;
    t->type = type;
    t->caller = stacked[0];
}

static __always_inline u64 new_object_id(void)
{
    return (u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() | 1;
}

static __always_inline void allocated(struct pt_regs *ctx)
{
    u32 all = WATCH_ALL, tid = bpf_get_current_pid_tgid();
    struct object_control *c = object_control.lookup(&all);
    struct object_state *s = object_state.lookup(&all);
    struct object_thread *t = object_threads.lookup(&tid);
    if (!c || !s)
        return;
    charge(c, s, c->return_trap_ns);
    if (!t || !t->entry_sp || t->entry_sp + 8 != ctx->sp)
        return;
    t->entry_sp = 0;
    u64 object = ctx->ax;
    struct followed_object followed = {.id = new_object_id(), .has_stacks = t->has_stacks};
    if (!c->window || !object || followed_objects.update(&object, &followed)) {
        __sync_fetch_and_add(c->window ? &s->births_lost : &s->births_filtered, 1);
        forget_object_thread(t);
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
        .tid = tid,
        .place = OBJECT_ALLOC,
    };
    if (followed.has_stacks) {
        send_with_stack(ctx, s, &event, ctx->sp);
        return;
    }
    forget_object_thread(t);
    send(s, &event);
}
