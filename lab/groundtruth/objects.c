/*
 * Types of objects, and the threads that make and end them.
 *
 * SPDX-License-Identifier: MIT
 */

#include "objects.h"

#include <sys/prctl.h>

#include "asterisk/strings.h"
#include "asterisk/utils.h"

#include "runs.h"

#define RATE_MAX  1000
#define STORM_MAX 10000

struct plan objects;
static pthread_t storm_threads[STORM_THREADS];

const char *const site_names[SITES] = {
    [SITE_NONE] = "none",     [SITE_BIRTH] = "birth",   [SITE_LINK] = "link",
    [SITE_FIND] = "find",     [SITE_ATTACH] = "attach", [SITE_OWNER] = "owner",
    [SITE_HOLDER] = "holder", [SITE_TASK] = "task",
};

/* A destructor and an allocation of its own for each type: by these a profiler tells them apart. */
#define TYPE(kind)                                                                 \
    static void kind##_destroy(void *object)                                       \
    {                                                                              \
        struct thing *thing = object;                                              \
                                                                                   \
        __atomic_add_fetch(&thing->type->freed, 1, __ATOMIC_RELAXED);              \
    }                                                                              \
                                                                                   \
    static struct thing *__attribute__((noinline)) kind##_alloc(struct type *type) \
    {                                                                              \
        type->line = __LINE__;                                                     \
        type->function = __PRETTY_FUNCTION__;                                      \
        return ao2_alloc(sizeof(struct thing), kind##_destroy);                    \
    }

TYPE(brief)
TYPE(dialog)
TYPE(registration)
TYPE(cached)
TYPE(owned)
TYPE(handed)
TYPE(stormy)
TYPE(optional)
TYPE(lasting)
TYPE(found)
TYPE(leaky)

#define USE_ALL (USE_LINK | USE_FIND | USE_OWNER | USE_ATTACH | USE_TASK)
#define LEAKY   10

/* The healthy, and at last the one that may leak: what it does, healthy ones do as well. */
struct type types[] = {
    {"brief", brief_alloc, USE_ATTACH, 10, 10},
    {"dialog", dialog_alloc, USE_LINK | USE_FIND | USE_ATTACH, 200, 200},
    {"registration", registration_alloc, USE_LINK | USE_FIND, 60000, 60000},
    {"cached", cached_alloc, USE_LINK, 20000, 20000},
    {"owned", owned_alloc, USE_OWNER, 1000, 1000},
    {"handed", handed_alloc, USE_TASK, 100, 100},
    {"stormy", stormy_alloc, USE_STORM | USE_ATTACH, 100, 2000},
    {"optional", optional_alloc, USE_LINK | USE_ATTACH | USE_SOMETIMES, 500, 500},
    {"lasting", lasting_alloc, USE_OWNER | USE_ATTACH, 10, 60000},
    {"found", found_alloc, USE_ALL, 2000, 5000},
    [LEAKY] = {"leaky", leaky_alloc, USE_ALL, 100, 800},
    {NULL},
};

/* Whether the object is one of the share that leaks: spread evenly. */
static int is_forgotten(uint64_t number)
{
    return (number + 1) * objects.percent / 100 > number * objects.percent / 100;
}

static void make(struct type *type)
{
    struct thing *thing = type->make(type);

    if (!thing) {
        return;
    }
    thing->id = (type - types) * 100000000 + type->born;
    thing->type = type;
    thing->forgets = type == &types[LEAKY] && is_forgotten(type->born) ? objects.site : SITE_NONE;
    thing->sometimes = type->uses & USE_SOMETIMES && type->born % 2;
    thing->due_ns =
        now_ns() + 1000000 * (type->low_ms + ast_random() % (type->high_ms - type->low_ms + 1));
    __atomic_add_fetch(&type->born, 1, __ATOMIC_RELAXED);
    AST_LIST_INSERT_TAIL(&type->alive, thing, entry);
    references_begin(thing);
}

/* End those of the type whose time is over, or all. */
static void end(struct type *type, int all)
{
    struct thing *thing;
    int64_t now = now_ns();

    AST_LIST_TRAVERSE_SAFE_BEGIN(&type->alive, thing, entry)
    {
        if (all || thing->due_ns <= now) {
            AST_LIST_REMOVE_CURRENT(entry);
            references_end(thing);
        }
    }
    AST_LIST_TRAVERSE_SAFE_END;
}

static void *type_thread(void *data)
{
    struct type *type = data;

    prctl(PR_SET_NAME, "gt-objects");
    while (!__atomic_load_n(&objects.stop, __ATOMIC_RELAXED)) {
        make(type);
        usleep(1000000 / objects.rate);
        end(type, 0);
    }
    end(type, 1);
    return NULL;
}

static int is_made(const struct type *type)
{
    return type != &types[LEAKY] || objects.site;
}

static void start(void)
{
    uintptr_t i;

    for (i = 0; types[i].name; i++) {
        types[i].born = types[i].freed = 0;
        if (is_made(&types[i])) {
            ast_pthread_create(&types[i].thread, NULL, type_thread, &types[i]);
        }
    }
    for (i = 0; objects.storm && i < STORM_THREADS; i++) {
        ast_pthread_create(&storm_threads[i], NULL, storm_thread, (void *)i);
    }
    objects.started = 1;
}

/* End the threads and all objects that are not forgotten. */
static void stop(void)
{
    int i;

    __atomic_store_n(&objects.stop, 1, __ATOMIC_RELAXED);
    for (i = 0; types[i].name; i++) {
        if (is_made(&types[i])) {
            pthread_join(types[i].thread, NULL);
        }
    }
    for (i = 0; objects.storm && i < STORM_THREADS; i++) {
        pthread_join(storm_threads[i], NULL);
    }
    objects.started = 0;
}

static enum site find_site(const char *name)
{
    int i;

    for (i = 0; name && i < SITES; i++) {
        if (!strcmp(site_names[i], name)) {
            return i;
        }
    }
    return name ? SITES : SITE_NONE;
}

/* groundtruth objects start [site=SITE] [percent=P] [rate=PER_SECOND] [storm=PER_SECOND] */
static char *objects_start(struct ast_cli_args *a)
{
    static const char *const keys[] = {"site", "percent", "rate", "storm", NULL};
    struct plan plan = {.site = find_site(option(a, 3, "site")), .percent = 100, .rate = 20};

    if (unknown_option(a, 3, keys) || plan.site == SITES) {
        return refuse(a, "no such option or site");
    }
    if (!option_number(a, 3, "percent", 0, 100, &plan.percent) ||
        !option_number(a, 3, "rate", 1, RATE_MAX, &plan.rate) ||
        !option_number(a, 3, "storm", 0, STORM_MAX, &plan.storm)) {
        return refuse(a, "number out of bounds");
    }
    if (objects.rate) {
        return refuse(a, "objects are there already");
    }
    objects = plan;
    if (!references_open()) {
        objects.rate = 0;
        references_close();
        return refuse(a, "no memory");
    }
    start();
    return objects_print(a);
}

void objects_free(void)
{
    if (objects.started) {
        stop();
    }
    if (objects.rate) {
        references_repair();
        references_close();
    }
    objects.rate = 0;
}

/* groundtruth objects start|result|stop|free */
char *objects_command(struct ast_cli_args *a)
{
    const char *word = a->argc > 2 ? a->argv[2] : "";

    if (!strcmp(word, "start")) {
        return objects_start(a);
    }
    if (!strcmp(word, "stop") && objects.started) {
        stop();
    } else if (!strcmp(word, "free")) {
        objects_free();
    } else if (strcmp(word, "result")) {
        return CLI_SHOWUSAGE;
    }
    return objects_print(a);
}
