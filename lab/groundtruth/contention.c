/*
 * One lock that threads take again and again: each keeps it for a known time in a function of its own,
 * and counts for how long it waited for it.
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "asterisk/utils.h"

#define NOINLINE         __attribute__((noinline))
#define TURNS_MAX        100000
#define MICROSECONDS_MAX 10000000

/* What one thread asks for, and what it saw. Only that thread writes until it ended. */
struct contender {
    pthread_t thread;
    int tid;
    /* Times that it left its CPU to wait; asks that had to; how long these took. */
    long long waits;
    long long waited;
    long long total_ns;
    long long longest_ns;
    long long held_ns;
};

AST_MUTEX_DEFINE_STATIC(contending);
static struct contender contenders[THREADS_MAX];
static int contender_count;
static long long turns, hold_us, pause_us;
static ast_mutex_t plain_lock;
static struct box *box;
static volatile uint64_t took;

/* How often this thread left its CPU by itself. */
static long long left_cpu(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

static void NOINLINE want_it_here(void)
{
    if (box) {
        ao2_lock(box->container);
    } else {
        ast_mutex_lock(&plain_lock);
    }
    took++;
}

/* Whoever waits is woken from in here. */
static void NOINLINE hold_it_here(struct contender *me)
{
    long long began_ns = now_ns();

    usleep(hold_us);
    me->held_ns += now_ns() - began_ns;
    if (box) {
        ao2_unlock(box->container);
    } else {
        ast_mutex_unlock(&plain_lock);
    }
    took++;
}

static void take_turn(struct contender *me)
{
    long long left = left_cpu(), began_ns = now_ns(), took_ns;

    want_it_here();
    took_ns = now_ns() - began_ns;
    left = left_cpu() - left;
    if (left) {
        me->waits += left;
        me->waited++;
        me->total_ns += took_ns;
        me->longest_ns = MAX(me->longest_ns, took_ns);
    }
    hold_it_here(me);
}

static void *contender_thread(void *data)
{
    struct contender *me = data;
    long long i;

    me->tid = ast_get_tid();
    prctl(PR_SET_NAME, "gt-contends");
    for (i = 0; i < turns; i++) {
        take_turn(me);
        usleep(pause_us);
    }
    return NULL;
}

static void join_all(void)
{
    int i;

    for (i = 0; i < contender_count; i++) {
        pthread_join(contenders[i].thread, NULL);
    }
}

static void let_go_of_lock(void)
{
    contender_count = 0;
    if (box) {
        box_put(box);
        box = NULL;
    } else {
        ast_mutex_destroy(&plain_lock);
    }
}

/* Read what is wanted; return 0 if that cannot be. */
static int read_wish(struct ast_cli_args *a, long long *threads)
{
    static const char *const keys[] = {"threads", "turns", "hold", "pause", "box", NULL};
    const char *name = option(a, 3, "box");

    *threads = 4;
    turns = 20;
    hold_us = pause_us = 5000;
    if (unknown_option(a, 3, keys) || !option_number(a, 3, "threads", 1, THREADS_MAX, threads) ||
        !option_number(a, 3, "turns", 1, TURNS_MAX, &turns) ||
        !option_number(a, 3, "hold", 1, MICROSECONDS_MAX, &hold_us) ||
        !option_number(a, 3, "pause", 0, MICROSECONDS_MAX, &pause_us)) {
        return 0;
    }
    box = name ? box_get(name) : NULL;
    return !name || box;
}

static int begin_all(long long threads)
{
    if (!box) {
        ast_mutex_init(&plain_lock);
    }
    memset(contenders, 0, sizeof(contenders));
    while (contender_count < threads) {
        struct contender *next = &contenders[contender_count];

        if (ast_pthread_create(&next->thread, NULL, contender_thread, next)) {
            join_all();
            let_go_of_lock();
            return 0;
        }
        contender_count++;
    }
    return 1;
}

/* groundtruth contend start [threads=N] [turns=N] [hold=US] [pause=US] [box=NAME] */
char *contend_start(struct ast_cli_args *a)
{
    const char *refused = NULL;
    long long threads;

    ast_mutex_lock(&contending);
    if (contender_count) {
        refused = "threads contend already";
    } else if (!read_wish(a, &threads)) {
        refused = "no such contention";
    } else if (!begin_all(threads)) {
        refused = "no threads";
    }
    ast_mutex_unlock(&contending);
    if (refused) {
        return refuse(a, refused);
    }
    ast_cli(a->fd, "{\"threads\": %lld}\n", threads);
    return CLI_SUCCESS;
}

static void print_truth(struct ast_cli_args *a)
{
    struct contender all = {.tid = 0};
    const void *lock = box ? ao2_object_get_lockaddr(box->container) : (const void *)&plain_lock;
    int i;

    ast_cli(a->fd, "{\"lock\": \"%p\", \"object\": \"%p\", \"tids\": [", lock,
            box ? (void *)box->container : NULL);
    for (i = 0; i < contender_count; i++) {
        const struct contender *one = &contenders[i];

        ast_cli(a->fd, "%s%d", i ? ", " : "", one->tid);
        all.waits += one->waits;
        all.waited += one->waited;
        all.total_ns += one->total_ns;
        all.held_ns += one->held_ns;
        all.longest_ns = MAX(all.longest_ns, one->longest_ns);
    }
    ast_cli(a->fd,
            "], \"turns\": %lld, \"waits\": %lld, \"waited\": %lld, \"total_ns\": %lld, "
            "\"longest_ns\": %lld, \"held_ns\": %lld, \"role\": \"contender_thread\", "
            "\"waits_in\": \"want_it_here\", \"held_in\": \"hold_it_here\"}\n",
            turns * contender_count, all.waits, all.waited, all.total_ns, all.longest_ns,
            all.held_ns);
}

/* groundtruth contend end: when all turns are taken, the truth about them */
char *contend_end(struct ast_cli_args *a)
{
    ast_mutex_lock(&contending);
    if (!contender_count) {
        ast_mutex_unlock(&contending);
        return refuse(a, "nothing contends");
    }
    join_all();
    print_truth(a);
    let_go_of_lock();
    ast_mutex_unlock(&contending);
    return CLI_SUCCESS;
}

void contention_free(void)
{
    ast_mutex_lock(&contending);
    if (contender_count) {
        join_all();
        let_go_of_lock();
    }
    ast_mutex_unlock(&contending);
}
