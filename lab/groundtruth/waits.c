/*
 * Who waits for whom: scenes are begun, told as truth, and resolved.
 *
 * SPDX-License-Identifier: MIT
 */

#include "waits.h"

#include <signal.h>

#include "asterisk/strings.h"
#include "asterisk/utils.h"

AST_MUTEX_DEFINE_STATIC(waiting);
static char scene[NAME_BYTES];

static const struct actor *owner_of(const struct wait_lock *lock)
{
    int i;

    for (i = 0; i < actor_count; i++) {
        if (actors[i].has == lock && actors[i].has_mode != MODE_READ) {
            return &actors[i];
        }
    }
    return NULL;
}

static void add_lock_member(struct ast_str **text, const char *key, const struct wait_lock *lock)
{
    if (lock) {
        ast_str_append(text, 0, "\"%s\": \"%p\"", key, wait_lock_address(lock));
    } else {
        ast_str_append(text, 0, "\"%s\": null", key);
    }
}

static void add_truth(struct ast_str **text, const struct actor *actor)
{
    const struct actor *owner = actor->wants ? owner_of(actor->wants) : NULL;

    ast_str_append(text, 0, "{\"tid\": %d, ", actor->tid);
    add_lock_member(text, "has", actor->has);
    ast_str_append(text, 0, ", \"times\": %d, ", actor->times);
    add_lock_member(text, "wants", actor->wants);
    ast_str_append(text, 0,
                   ", \"mode\": \"%s\", \"owner\": %d, \"rest\": \"%s\", \"function\": \"%s\", "
                   "\"timed\": %s}",
                   actor->wants_mode == MODE_READ ? "read" : "write", owner ? owner->tid : 0,
                   actor->wants ? "" : rest_name(actor->rest), S_OR(actor->function, ""),
                   actor->wants_mode == MODE_TIMED ? "true" : "false");
}

static void print(struct ast_cli_args *a)
{
    struct ast_str *text = ast_str_create(4096);
    int i, readers = 0;

    if (!text) {
        ast_cli(a->fd, "{\"error\": \"no memory\"}\n");
        return;
    }
    for (i = 0; i < actor_count; i++) {
        readers += actors[i].has && actors[i].has_mode == MODE_READ;
    }
    ast_str_append(&text, 0, "{\"scene\": \"%s\", \"readers\": %d, \"locks\": [", scene, readers);
    for (i = 0; i < lock_count; i++) {
        ast_str_append(&text, 0, "%s{", i ? ", " : "");
        add_lock_member(&text, "address", &locks[i]);
        ast_str_append(&text, 0, ", \"object\": \"%p\"}", locks[i].object);
    }
    ast_str_append(&text, 0, "], \"threads\": [");
    for (i = 0; i < actor_count; i++) {
        ast_str_append(&text, 0, "%s", i ? ", " : "");
        add_truth(&text, &actors[i]);
    }
    ast_cli(a->fd, "%s]}\n", ast_str_buffer(text));
    ast_free(text);
}

static void wait_until(const int *count, int wanted)
{
    int i;

    for (i = 0; i < 5000 && __atomic_load_n(count, __ATOMIC_ACQUIRE) < wanted; i++) {
        usleep(1000);
    }
}

/* Signals end the system calls of a thread: Asterisk's handler of SIGURG restarts none. */
static void interrupt(const struct actor *actor)
{
    if (__atomic_load_n(&actor->done, __ATOMIC_ACQUIRE)) {
        return;
    } else if (actor->wants_mode == MODE_TIMED) {
        pthread_kill(actor->thread, GIVE_UP_SIGNAL);
    } else if (!actor->wants) {
        pthread_kill(actor->thread, SIGURG);
    }
}

static int all_done(void)
{
    int i, done = 1;

    for (i = 0; i < actor_count; i++) {
        done = done && __atomic_load_n(&actors[i].done, __ATOMIC_ACQUIRE);
    }
    return done;
}

static void free_locks(void)
{
    int i;

    for (i = 0; i < lock_count; i++) {
        if (locks[i].object) {
            ao2_ref(locks[i].object, -1);
        } else if (locks[i].kind == LOCK_RWLOCK) {
            ast_rwlock_destroy(&locks[i].rwlock);
        } else {
            ast_mutex_destroy(&locks[i].mutex);
        }
    }
    lock_count = 0;
}

/* Call it with `waiting` held. A cycle ends when its one thread with a timed lock gives up. */
static int end_scene(int *timed_out)
{
    int i, count = actor_count;

    *timed_out = 0;
    actors_release();
    while (!all_done()) {
        for (i = 0; i < count; i++) {
            interrupt(&actors[i]);
        }
        usleep(2000);
    }
    for (i = 0; i < count; i++) {
        pthread_join(actors[i].thread, NULL);
        *timed_out += actors[i].timed_out;
    }
    free_locks();
    actor_count = 0;
    signal(GIVE_UP_SIGNAL, SIG_DFL);
    return count;
}

static int start_scene(const char *name, const struct wish *wish)
{
    int i, made = scene_make(name, wish), timed_out;

    snprintf(scene, sizeof(scene), "%s", name);
    actors_prepare();
    for (i = 0; made && i < actor_count; i++) {
        made = !ast_pthread_create(&actors[i].thread, NULL, actor_thread, &actors[i]);
    }
    if (!made) {
        actor_count = i ? i - 1 : 0;
        end_scene(&timed_out);
        return 0;
    }
    wait_until(&wait_ready, actor_count);
    actors_go();
    wait_until(&wait_begun, actor_count);
    return 1;
}

/* groundtruth wait hold|readers|writer|chain|cycle|cycles|idle [KEY=VALUE ...] */
char *wait_start(struct ast_cli_args *a)
{
    static const char *const keys[] = {"threads", "seconds", "times", "behind",
                                       "rest",    "lock",    NULL};
    struct wish wish = {.threads = 2, .seconds = 60, .times = 1};
    int rest, started;

    if (a->argc < 3) {
        return CLI_SHOWUSAGE;
    }
    rest = rest_find(S_OR(option(a, 3, "rest"), "condition"));
    wish.rest = rest < 0 ? 0 : rest;
    if (rest < 0 || unknown_option(a, 3, keys) || !scene_kinds(a, wish.kinds) ||
        !option_number(a, 3, "threads", 1, THREADS_MAX, &wish.threads) ||
        !option_number(a, 3, "seconds", 1, SECONDS_MAX, &wish.seconds) ||
        !option_number(a, 3, "times", 1, 9, &wish.times) ||
        !option_number(a, 3, "behind", 0, THREADS_MAX, &wish.behind) ||
        !scene_is_possible(a->argv[2], &wish)) {
        return refuse(a, "no such scene");
    }
    ast_mutex_lock(&waiting);
    if (actor_count) {
        ast_mutex_unlock(&waiting);
        return refuse(a, "a scene is there already");
    }
    started = start_scene(a->argv[2], &wish);
    if (started) {
        print(a);
    }
    ast_mutex_unlock(&waiting);
    return started ? CLI_SUCCESS : refuse(a, "no memory, or no threads");
}

int waits_free(int *timed_out)
{
    int count;

    ast_mutex_lock(&waiting);
    count = end_scene(timed_out);
    ast_mutex_unlock(&waiting);
    return count;
}

/* groundtruth wait end */
char *wait_end(struct ast_cli_args *a)
{
    int timed_out, count = waits_free(&timed_out);

    ast_cli(a->fd, "{\"ended\": %d, \"timed_out\": %d}\n", count, timed_out);
    return CLI_SUCCESS;
}
