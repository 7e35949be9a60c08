/*
 * References: each is taken at one line and given back at another, or forgotten where the plan says.
 *
 * SPDX-License-Identifier: MIT
 */

#include "objects.h"

#include <sys/prctl.h>

#include "asterisk/taskprocessor.h"
#include "asterisk/utils.h"

#define NOINLINE      __attribute__((noinline))
#define INDEX_BUCKETS 1567
/* References that one round of the storm takes and gives back, one after another. */
#define STORM_PAIRS 10

static struct ao2_container *indexed;
static struct ast_taskprocessor *tasks;
AST_MUTEX_DEFINE_STATIC(lock);
static struct thing *stormed[STORM_OBJECTS];
/* Without references of our own: the one that was forgotten keeps them. */
static struct things forgotten;

static int thing_hash(const void *object, int flags)
{
    return flags & OBJ_SEARCH_KEY ? *(const int *)object : ((const struct thing *)object)->id;
}

static int thing_compare(void *object, void *argument, int flags)
{
    unsigned int id =
        flags & OBJ_SEARCH_KEY ? *(unsigned int *)argument : ((struct thing *)argument)->id;

    return ((struct thing *)object)->id == id ? CMP_MATCH | CMP_STOP : 0;
}

int references_open(void)
{
    indexed = ao2_container_alloc_hash(AO2_ALLOC_OPT_LOCK_MUTEX, 0, INDEX_BUCKETS, thing_hash, NULL,
                                       thing_compare);
    tasks = ast_taskprocessor_get("groundtruth/objects", TPS_REF_DEFAULT);
    return indexed && tasks;
}

void references_close(void)
{
    int i;

    tasks = ast_taskprocessor_unreference(tasks);
    for (i = 0; i < STORM_OBJECTS; i++) {
        ao2_cleanup(stormed[i]);
        stormed[i] = NULL;
    }
    ao2_cleanup(indexed);
    indexed = NULL;
}

static void owner_destroy(void *object)
{
    struct owner *owner = object;

    __atomic_add_fetch(&objects.owners_freed, 1, __ATOMIC_RELAXED);
    if (owner->held && owner->held->forgets != SITE_OWNER) {
        NOTE(given, SITE_OWNER), ao2_ref(owner->held, -1);
    }
}

static struct owner *NOINLINE owner_alloc(void)
{
    struct owner *owner;

    NOTE(taken, SITE_HOLDER), owner = ao2_alloc(sizeof(*owner), owner_destroy);
    __atomic_add_fetch(&objects.owners_born, !!owner, __ATOMIC_RELAXED);
    return owner;
}

static void NOINLINE adopt(struct thing *thing)
{
    thing->owner = owner_alloc();
    if (thing->owner) {
        NOTE(taken, SITE_OWNER), ao2_ref(thing, +1);
        thing->owner->held = thing;
    }
}

static void NOINLINE abandon(struct thing *thing)
{
    if (thing->owner && thing->forgets != SITE_HOLDER) {
        NOTE(given, SITE_HOLDER), ao2_ref(thing->owner, -1);
    }
}

static void NOINLINE attach(struct thing *thing)
{
    NOTE(taken, SITE_ATTACH), ao2_ref(thing, +1);
}

static void NOINLINE detach(struct thing *thing)
{
    if (thing->forgets != SITE_ATTACH) {
        NOTE(given, SITE_ATTACH), ao2_ref(thing, -1);
    }
}

static void NOINLINE enlist(struct thing *thing)
{
    NOTE(taken, SITE_LINK), ao2_link(indexed, thing);
}

static void NOINLINE retire(struct thing *thing)
{
    if (thing->forgets != SITE_LINK) {
        NOTE(given, SITE_LINK), ao2_unlink(indexed, thing);
    }
}

static struct thing *NOINLINE find(unsigned int id)
{
    struct thing *found;

    NOTE(taken, SITE_FIND), found = ao2_find(indexed, &id, OBJ_SEARCH_KEY);
    return found;
}

static void NOINLINE consult(unsigned int id)
{
    struct thing *found = find(id);

    if (found && found->forgets != SITE_FIND) {
        NOTE(given, SITE_FIND), ao2_cleanup(found);
    }
}

static int NOINLINE run_task(void *data)
{
    struct thing *thing = data;

    if (thing->forgets != SITE_TASK) {
        NOTE(given, SITE_TASK), ao2_ref(thing, -1);
    }
    return 0;
}

static void NOINLINE hand_over(struct thing *thing)
{
    NOTE(taken, SITE_TASK), ao2_ref(thing, +1);
    if (ast_taskprocessor_push(tasks, run_task, thing)) {
        ao2_ref(thing, -1);
    }
}

static void NOINLINE let_go(struct thing *thing)
{
    if (thing->forgets != SITE_BIRTH) {
        NOTE(given, SITE_BIRTH), ao2_ref(thing, -1);
    }
}

/* One of the storm's objects makes place for another. */
static void NOINLINE join_storm(struct thing *thing)
{
    struct thing **place = &stormed[thing->id % STORM_OBJECTS], *before;

    ast_mutex_lock(&lock);
    before = *place;
    *place = ao2_bump(thing);
    ast_mutex_unlock(&lock);
    ao2_cleanup(before);
}

static void NOINLINE storm_round(unsigned int number)
{
    struct thing *thing;
    int i;

    ast_mutex_lock(&lock);
    thing = ao2_bump(stormed[number % STORM_OBJECTS]);
    ast_mutex_unlock(&lock);
    for (i = 0; thing && i < STORM_PAIRS; i++) {
        ao2_ref(thing, +1);
        ao2_ref(thing, -1);
    }
    ao2_cleanup(thing);
}

void *storm_thread(void *data)
{
    unsigned int number = (uintptr_t)data;

    prctl(PR_SET_NAME, "gt-storm");
    while (!__atomic_load_n(&objects.stop, __ATOMIC_RELAXED)) {
        storm_round(number++);
        usleep(1000000 / objects.storm);
    }
    return NULL;
}

void references_begin(struct thing *thing)
{
    unsigned int uses = thing->type->uses;

    if (uses & USE_LINK) {
        enlist(thing);
    }
    if (uses & USE_FIND) {
        consult(thing->id);
    }
    if (uses & USE_OWNER) {
        adopt(thing);
    }
    if (uses & USE_ATTACH && !thing->sometimes) {
        attach(thing);
    }
    if (uses & USE_TASK) {
        hand_over(thing);
    }
    if (uses & USE_STORM && objects.storm) {
        join_storm(thing);
    }
}

void references_end(struct thing *thing)
{
    unsigned int uses = thing->type->uses;

    if (thing->forgets) {
        ast_mutex_lock(&lock);
        AST_LIST_INSERT_TAIL(&forgotten, thing, entry);
        ast_mutex_unlock(&lock);
        __atomic_add_fetch(&objects.leaked, 1, __ATOMIC_RELAXED);
    }
    if (uses & USE_LINK) {
        retire(thing);
    }
    if (uses & USE_OWNER) {
        abandon(thing);
    }
    if (uses & USE_ATTACH && !thing->sometimes) {
        detach(thing);
    }
    let_go(thing);
}

void references_repair(void)
{
    struct thing *thing;

    while ((thing = AST_LIST_REMOVE_HEAD(&forgotten, entry))) {
        if (thing->forgets == SITE_LINK) {
            ao2_unlink(indexed, thing);
        } else if (thing->forgets == SITE_HOLDER) {
            ao2_ref(thing->owner, -1);
        } else {
            ao2_ref(thing, -1);
        }
    }
}
