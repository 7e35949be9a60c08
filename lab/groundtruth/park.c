/*
 * Threads in known places: parked inside three nested lookups, or spinning in known functions.
 *
 * SPDX-License-Identifier: MIT
 */

#include "runs.h"

#include <sys/prctl.h>

#include "asterisk/utils.h"

#define PARKED_DEPTH 3
#define NOINLINE     __attribute__((noinline))

AST_MUTEX_DEFINE_STATIC(parking);
static ast_cond_t let_go;
static int cond_ready, released, parked_count, arrived, spinning;
static pthread_t parked[THREADS_MAX];
static int64_t spin_end_ns;
static volatile uint64_t spun;

struct stay {
    struct ao2_container *levels[PARKED_DEPTH];
    int depth;
};

static int NOINLINE park_here(void)
{
    ast_mutex_lock(&parking);
    arrived++;
    while (!released) {
        ast_cond_wait(&let_go, &parking);
    }
    ast_mutex_unlock(&parking);
    return CMP_STOP;
}

static int NOINLINE park_deeper(void *object, void *argument, int flags);

static int NOINLINE park_lookup(struct stay *stay)
{
    ao2_callback(stay->levels[stay->depth], 0, park_deeper, stay);
    return CMP_STOP;
}

static int NOINLINE park_deeper(void *object, void *argument, int flags)
{
    struct stay *stay = argument;
    int result;

    if (stay->depth + 1 == PARKED_DEPTH) {
        return park_here();
    }
    stay->depth++;
    result = park_lookup(stay);
    stay->depth--;
    return result;
}

static void *park_thread(void *data)
{
    struct stay stay = {{NULL}};
    int i, made = 1;

    prctl(PR_SET_NAME, "gt-park");
    for (i = 0; i < PARKED_DEPTH; i++) {
        struct item *item = item_alloc("parked-%07u", i, 0);

        stay.levels[i] =
            ao2_container_alloc_hash(AO2_ALLOC_OPT_LOCK_MUTEX, 0, 7, item_hash, NULL, item_compare);
        made = made && item && stay.levels[i] && ao2_link(stay.levels[i], item);
        ao2_cleanup(item);
    }
    if (made) {
        park_lookup(&stay);
    }
    for (i = 0; i < PARKED_DEPTH; i++) {
        ao2_cleanup(stay.levels[i]);
    }
    return NULL;
}

static void NOINLINE spin_inner(void)
{
    int i;

    for (i = 0; i < 100000; i++) {
        spun++;
    }
}

static void NOINLINE spin_middle(void)
{
    spin_inner();
    spun++;
}

static void NOINLINE spin_outer(void)
{
    spin_middle();
    spun++;
}

static void *spin_thread(void *data)
{
    prctl(PR_SET_NAME, "gt-spin");
    while (now_ns() < spin_end_ns && !__atomic_load_n(&released, __ATOMIC_RELAXED)) {
        spin_outer();
    }
    return NULL;
}

/* Start that many threads of one kind, unless others are still there. */
static char *start_parked(struct ast_cli_args *a, long long threads, void *(*body)(void *),
                          int spins)
{
    int i;

    ast_mutex_lock(&parking);
    if (parked_count) {
        ast_mutex_unlock(&parking);
        return refuse(a, "threads are parked or spinning already");
    }
    if (!cond_ready) {
        ast_cond_init(&let_go, NULL);
        cond_ready = 1;
    }
    __atomic_store_n(&released, 0, __ATOMIC_RELAXED);
    arrived = 0;
    spinning = spins;
    for (i = 0; i < threads; i++) {
        if (ast_pthread_create(&parked[i], NULL, body, NULL)) {
            break;
        }
    }
    parked_count = i;
    ast_mutex_unlock(&parking);
    /* Parked threads are all in their place when the command answers. */
    for (i = 0; !spins && i < 500 && arrived < parked_count; i++) {
        usleep(2000);
    }
    ast_cli(a->fd, "{\"threads\": %d, \"arrived\": %d}\n", parked_count, spins ? 0 : arrived);
    return CLI_SUCCESS;
}

/* groundtruth park [THREADS] */
char *park_start(struct ast_cli_args *a)
{
    long long threads = 1;

    if (a->argc > 3 || (a->argc == 3 && !parse_number(a->argv[2], 1, THREADS_MAX, &threads))) {
        return refuse(a, "number out of bounds");
    }
    return start_parked(a, threads, park_thread, 0);
}

/* groundtruth spin THREADS SECONDS */
char *spin_start(struct ast_cli_args *a)
{
    long long threads, seconds;

    if (a->argc != 4 || !parse_number(a->argv[2], 1, THREADS_MAX, &threads) ||
        !parse_number(a->argv[3], 1, SECONDS_MAX, &seconds)) {
        return refuse(a, "number out of bounds");
    }
    if (parked_count) {
        return refuse(a, "threads are parked or spinning already");
    }
    spin_end_ns = now_ns() + seconds * 1000000000LL;
    return start_parked(a, threads, spin_thread, 1);
}

int parked_free(void)
{
    int i, count;

    ast_mutex_lock(&parking);
    __atomic_store_n(&released, 1, __ATOMIC_RELAXED);
    if (cond_ready) {
        ast_cond_broadcast(&let_go);
    }
    count = parked_count;
    ast_mutex_unlock(&parking);
    for (i = 0; i < count; i++) {
        pthread_join(parked[i], NULL);
    }
    ast_mutex_lock(&parking);
    parked_count = 0;
    ast_mutex_unlock(&parking);
    return count;
}

/* groundtruth unpark: end parked and spinning threads */
char *park_end(struct ast_cli_args *a)
{
    ast_cli(a->fd, "{\"ended\": %d}\n", parked_free());
    return CLI_SUCCESS;
}
