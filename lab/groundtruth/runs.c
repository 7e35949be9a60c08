/*
 * The threads of a run: those that search, those that change the container, and the one that lets
 * them go and waits for them.
 *
 * SPDX-License-Identifier: MIT
 */

#include "runs.h"

#include <sys/prctl.h>

#include "asterisk/utils.h"

#define STEP 7919

int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Sleep until the operation of that index is due, at `rate` per second since start_ns. */
static void pace(int64_t start_ns, uint64_t index, long long rate)
{
    int64_t due_ns = start_ns + (int64_t)(index * (1e9 / rate));
    struct timespec due = {due_ns / 1000000000LL, due_ns % 1000000000LL};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static int stopped(const struct run *run)
{
    return __atomic_load_n(&run->stop, __ATOMIC_RELAXED);
}

static void wait_for_go(struct run *run)
{
    ast_mutex_lock(&run->lock);
    while (!run->go) {
        ast_cond_wait(&run->changed, &run->lock);
    }
    ast_mutex_unlock(&run->lock);
}

void *search_thread(void *data)
{
    struct worker *worker = data;
    struct run *run = worker->run;
    uint64_t i, next = (uint64_t)worker->number * run->wanted_count / run->threads;
    /* A step without a common factor: each is looked for once before any is again. */
    uint64_t step = run->wanted_count % STEP ? STEP : 1;

    prctl(PR_SET_NAME, "gt-search");
    wait_for_go(run);
    searching = worker;
    for (i = 0; !stopped(run) && (!run->count || i < run->count); i++) {
        if (run->rate) {
            pace(run->start_ns, i, run->rate);
        }
        run->search->find(worker, run->box, run->wanted[next % run->wanted_count]);
        next += step;
    }
    searching = NULL;
    ast_mutex_lock(&run->lock);
    run->active--;
    ast_cond_broadcast(&run->changed);
    ast_mutex_unlock(&run->lock);
    return NULL;
}

/* Link and unlink elements of its own, and take elements that are looked for out and back in. */
static void churn(struct run *run, int number)
{
    struct item *own[CHURN_BATCH] = {NULL};
    /* Searches that take elements out themselves do not share them with us. */
    uint64_t i, own_count = run->search->changes ? 0 : run->box->count / run->churners;

    for (i = 0; !stopped(run); i++) {
        struct item **place = &own[i / 2 % CHURN_BATCH];

        if (run->churn_rate) {
            pace(run->start_ns, i, run->churn_rate);
        }
        if (i % 2 && own_count > 0) {
            /* No other thread takes this one out, so it is in, and is put back once. */
            uint64_t index = i * STEP % own_count * run->churners + number;

            ao2_unlink(run->box->container, run->box->items[index]);
            item_link(run->box, run->box->items[index]);
        } else if (*place) {
            ao2_unlink(run->box->container, *place);
            ao2_ref(*place, -1);
            *place = NULL;
        } else if ((*place = item_alloc("churn-%010u", number * 1000000 + i % 1000000,
                                        run->box->weak))) {
            item_link(run->box, *place);
        }
        __atomic_store_n(&run->changes[number], i + 1, __ATOMIC_RELAXED);
    }
    for (i = 0; i < CHURN_BATCH; i++) {
        if (own[i]) {
            ao2_unlink(run->box->container, own[i]);
            ao2_ref(own[i], -1);
        }
    }
}

void *churn_thread(void *data)
{
    struct churner churner = *(struct churner *)data;

    ast_free(data);
    prctl(PR_SET_NAME, "gt-churn");
    wait_for_go(churner.run);
    churn(churner.run, churner.number);
    return NULL;
}

/* Let the threads go, wait until they are done or the time is over, and join them. */
void supervise(struct run *run)
{
    struct timeval end = ast_tvadd(ast_tvnow(), ast_tv(run->seconds, 0));
    struct timespec until = {end.tv_sec, end.tv_usec * 1000};
    int i, result = 0;

    ast_mutex_lock(&run->lock);
    run->start_ns = now_ns();
    run->go = 1;
    ast_cond_broadcast(&run->changed);
    while (run->active && !run->stop && result != ETIMEDOUT) {
        result = ast_cond_timedwait(&run->changed, &run->lock, &until);
    }
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    ast_mutex_unlock(&run->lock);
    for (i = 0; i < run->threads; i++) {
        pthread_join(run->workers[i].thread, NULL);
    }
    run->end_ns = now_ns();
    for (i = 0; i < run->churners; i++) {
        pthread_join(run->churn_threads[i], NULL);
    }
    registry_lock();
    if (run->box->users == 1 && (run->search->changes || run->churners)) {
        box_order(run->box);
    }
    registry_unlock();
    run_release(run);
    ast_mutex_lock(&run->lock);
    run->done = 1;
    ast_mutex_unlock(&run->lock);
}

void *supervise_thread(void *data)
{
    prctl(PR_SET_NAME, "gt-supervisor");
    supervise(data);
    return NULL;
}
