/*
 * Scenes of threads that wait: who has what, and who wants it.
 *
 * SPDX-License-Identifier: MIT
 */

#include "waits.h"

#include "asterisk/strings.h"
#include "asterisk/utils.h"

#define CYCLE_MAX 7

struct actor actors[ACTORS_MAX];
struct wait_lock locks[LOCKS_MAX];
int actor_count, lock_count;

static int lock_kind(const char *name)
{
    static const char *const names[] = {"mutex", "object", "rwlock", "object-rwlock"};
    int i;

    for (i = 0; i < ARRAY_LEN(names); i++) {
        if (!strcmp(names[i], name)) {
            return i;
        }
    }
    return -1;
}

static void object_gone(void *object)
{
}

static struct wait_lock *add_lock(enum lock_kind kind)
{
    struct wait_lock *lock = &locks[lock_count];

    memset(lock, 0, sizeof(*lock));
    lock->kind = kind;
    if (kind == LOCK_OBJECT) {
        lock->object = ao2_alloc(64, object_gone);
    } else if (kind == LOCK_OBJECT_RWLOCK) {
        lock->object = ao2_alloc_options(64, object_gone, AO2_ALLOC_OPT_LOCK_RWLOCK);
    } else if (kind == LOCK_RWLOCK) {
        ast_rwlock_init(&lock->rwlock);
    } else {
        ast_mutex_init(&lock->mutex);
    }
    if (!lock->object && (kind == LOCK_OBJECT || kind == LOCK_OBJECT_RWLOCK)) {
        return NULL;
    }
    lock_count++;
    return lock;
}

static struct actor *add_actor(struct wait_lock *has, enum mode has_mode, struct wait_lock *wants,
                               enum mode wants_mode)
{
    struct actor *actor = &actors[actor_count++];

    memset(actor, 0, sizeof(*actor));
    actor->has = has;
    actor->has_mode = has_mode;
    actor->times = has ? 1 : 0;
    actor->wants = wants;
    actor->wants_mode = wants_mode;
    return actor;
}

/* One thread has the lock for itself; the others want it, to read or to write. */
static int make_holder(const struct wish *wish, enum mode wanted)
{
    struct wait_lock *lock = add_lock(wish->kinds[0]);
    struct actor *holder;
    int i;

    if (!lock) {
        return 0;
    }
    holder = add_actor(lock, MODE_WRITE, NULL, MODE_NONE);
    holder->rest = wish->rest;
    holder->times = wish->times;
    for (i = 0; i < wish->threads; i++) {
        add_actor(NULL, MODE_NONE, lock, wanted);
    }
    return 1;
}

/* Many read, and one wants to write. */
static int make_writer(const struct wish *wish)
{
    struct wait_lock *lock = add_lock(wish->kinds[0]);
    int i;

    for (i = 0; lock && i < wish->threads; i++) {
        add_actor(lock, MODE_READ, NULL, MODE_NONE)->rest = wish->rest;
    }
    return lock && add_actor(NULL, MODE_NONE, lock, MODE_WRITE);
}

/* Each has a lock and wants the one of the thread before it; `closed`: the first that of the last.
 * With threads in `behind` that want the first lock and have none. */
static int make_links(const struct wish *wish, int closed)
{
    struct wait_lock *first = &locks[lock_count];
    int i;

    for (i = 0; i < wish->threads; i++) {
        if (!add_lock(wish->kinds[i % 2])) {
            return 0;
        }
    }
    for (i = 0; i < wish->threads; i++) {
        struct wait_lock *before = i ? &first[i - 1] : &first[wish->threads - 1];
        struct actor *actor = add_actor(&first[i], MODE_WRITE, i || closed ? before : NULL,
                                        i || !closed ? MODE_WRITE : MODE_TIMED);

        actor->rest = wish->rest;
        actor->seconds = wish->seconds;
        actor->times = wish->times;
    }
    for (i = 0; i < wish->behind; i++) {
        add_actor(NULL, MODE_NONE, first, MODE_WRITE);
    }
    return 1;
}

/* Three cycles at once, of 2, 3 and 7 threads. */
static int make_cycles(const struct wish *wish)
{
    struct wish two = *wish, three = *wish, seven = *wish;

    two.threads = 2;
    two.kinds[0] = two.kinds[1] = LOCK_MUTEX;
    three.threads = 3;
    three.kinds[0] = three.kinds[1] = LOCK_OBJECT;
    seven.threads = CYCLE_MAX;
    seven.kinds[0] = LOCK_MUTEX;
    seven.kinds[1] = LOCK_OBJECT;
    two.behind = seven.behind = 0;
    return make_links(&two, 1) && make_links(&three, 1) && make_links(&seven, 1);
}

/* Nobody needs what these have: one thread for each way to wait for work. */
static int make_idle(void)
{
    enum rest rest;

    for (rest = REST_CONDITION; rest < REST_SPIN; rest++) {
        add_actor(NULL, MODE_NONE, NULL, MODE_NONE)->rest = rest;
    }
    return 1;
}

int scene_make(const char *name, const struct wish *wish)
{
    if (!strcmp(name, "hold")) {
        return make_holder(wish, MODE_WRITE);
    } else if (!strcmp(name, "readers")) {
        return make_holder(wish, MODE_READ);
    } else if (!strcmp(name, "writer")) {
        return make_writer(wish);
    } else if (!strcmp(name, "chain")) {
        return make_links(wish, 0);
    } else if (!strcmp(name, "cycle")) {
        return make_links(wish, 1);
    } else if (!strcmp(name, "cycles")) {
        return make_cycles(wish);
    }
    return make_idle();
}

int scene_kinds(struct ast_cli_args *a, int kinds[2])
{
    const char *name = S_OR(option(a, 3, "lock"), "mutex");

    if (!strcmp(name, "mixed")) {
        kinds[0] = LOCK_MUTEX;
        kinds[1] = LOCK_OBJECT;
        return 1;
    }
    kinds[0] = kinds[1] = lock_kind(name);
    return kinds[0] >= 0;
}

/* Whether such a scene can be made: cycles end by a timed lock, which only mutexes have in 16. */
int scene_is_possible(const char *name, const struct wish *wish)
{
    int is_rwlock = wish->kinds[0] == LOCK_RWLOCK || wish->kinds[0] == LOCK_OBJECT_RWLOCK;

    if (!strcmp(name, "readers") || !strcmp(name, "writer")) {
        return is_rwlock && wish->times == 1;
    } else if (!strcmp(name, "chain") || !strcmp(name, "cycle")) {
        return !is_rwlock && wish->threads <= CYCLE_MAX;
    }
    return !strcmp(name, "idle") || !strcmp(name, "cycles") ||
           (!strcmp(name, "hold") && (!is_rwlock || wish->times == 1));
}
