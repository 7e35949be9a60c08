/*
 * A run: threads that search one container, shared by runs.c (which makes it go) and results.c
 * (which prints it).
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef GROUNDTRUTH_RUNS_H
#define GROUNDTRUTH_RUNS_H

#include "groundtruth.h"

#define RUNS_MAX     8
#define CHURNERS_MAX 8
/* Elements that one churning thread adds at most before it takes them away again. */
#define CHURN_BATCH 32

struct run {
    int number;
    /* Both are let go when the run is done; what is printed then is kept beside them. */
    struct box *box;
    struct box *inner;
    char container[NAME_BYTES];
    const void *address;
    int depth;
    int claims;
    const struct search *search;
    /* What is looked for: elements of the box, or names that are absent. */
    struct item **wanted;
    int wanted_count;
    struct item *absent[MISSING_KEYS];
    /* Lookups of each thread; 0 is no limit. */
    uint64_t count;
    /* Lookups per second of each thread; 0 is full speed. */
    long long rate;
    long long seconds;
    int threads;
    int churners;
    /* Changes per second of each churning thread; 0 is full speed. */
    long long churn_rate;
    uint64_t changes[CHURNERS_MAX];
    pthread_t churn_threads[CHURNERS_MAX];
    struct worker workers[THREADS_MAX];
    uint64_t slots;

    pthread_t supervisor;
    int supervised;
    ast_mutex_t lock;
    ast_cond_t changed;
    int go;
    int stop;
    int active;
    int done;
    int64_t start_ns;
    int64_t end_ns;
};

struct churner {
    struct run *run;
    int number;
};

/* Let go of the containers, so that they can be changed or freed. */
void run_release(struct run *run);
void *search_thread(void *worker);
/* Takes and frees a struct churner. */
void *churn_thread(void *churner);
void supervise(struct run *run);
void *supervise_thread(void *run);
void run_print(struct ast_cli_args *a, const struct run *run);

#endif
