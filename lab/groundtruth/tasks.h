/*
 * A set of task processors that tasks of known times are pushed to, shared by tasks.c (which makes
 * it go) and task_results.c (which prints it).
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef GROUNDTRUTH_TASKS_H
#define GROUNDTRUTH_TASKS_H

#include "groundtruth.h"

#include "asterisk/taskprocessor.h"

#define QUEUES_MAX      64
#define TASKS_MAX       500000
#define TASK_NAME_BYTES (AST_TASKPROCESSOR_MAX_NAME + 1)

enum task_kind { TASK_SLEEP, TASK_SPIN, TASK_SLOW, TASK_KINDS };

/* A task processor, and how many tasks were waiting for it. */
struct task_queue {
    struct ast_taskprocessor *processor;
    char name[TASK_NAME_BYTES];
    long pushed;
    long failed;
    long waiting;
    long longest;
};

/* One task; it is written by whoever has it: the pusher, then the thread that executes it. */
struct task {
    struct task_set *set;
    struct task_queue *queue;
    enum task_kind kind;
    int64_t pushed_ns;
    int64_t started_ns;
    int64_t ended_ns;
};

struct task_set {
    char name[NAME_BYTES];
    struct task_queue queues[QUEUES_MAX];
    int queue_count;
    struct ast_threadpool *pool;
    struct task *tasks;
    long capacity;
    long pushed;
    long executed;
    long long rate, seconds, burst, service_us, slow_every, slow_us, high_water;
    enum task_kind work;
    pthread_t pusher;
    int pushing;
    int stop;
};

void tasks_print(struct ast_cli_args *a, const struct task_set *set);

#endif
