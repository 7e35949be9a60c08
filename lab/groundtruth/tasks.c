/*
 * Task processors of known arrival rates and service times: what waits in a queue, and why.
 *
 * SPDX-License-Identifier: MIT
 */

#include "tasks.h"

#include "asterisk/threadpool.h"
#include "asterisk/utils.h"

#define NOINLINE     __attribute__((noinline))
#define SETS_MAX     8
#define DRAIN_CHECKS 3000
#define DRAIN_US     10000

AST_MUTEX_DEFINE_STATIC(registry);
static struct task_set *sets[SETS_MAX];
static volatile uint64_t spun;

static void task_begins(struct task *task)
{
    task->started_ns = now_ns();
    __atomic_sub_fetch(&task->queue->waiting, 1, __ATOMIC_RELAXED);
}

static int task_ends(struct task *task)
{
    __atomic_store_n(&task->ended_ns, now_ns(), __ATOMIC_RELEASE);
    __atomic_add_fetch(&task->set->executed, 1, __ATOMIC_RELEASE);
    return 0;
}

/* Tasks that are left when a set is stopped have nothing to do. */
static int is_stopped(const struct task *task)
{
    return __atomic_load_n(&task->set->stop, __ATOMIC_RELAXED);
}

static int NOINLINE task_sleep(void *data)
{
    struct task *task = data;

    task_begins(task);
    if (!is_stopped(task)) {
        usleep(task->set->service_us);
    }
    return task_ends(task);
}

static int NOINLINE task_spin(void *data)
{
    struct task *task = data;

    task_begins(task);
    while (!is_stopped(task) && now_ns() < task->started_ns + task->set->service_us * 1000) {
        spun++;
    }
    return task_ends(task);
}

static int NOINLINE task_slow(void *data)
{
    struct task *task = data;

    task_begins(task);
    if (!is_stopped(task)) {
        usleep(task->set->slow_us);
    }
    return task_ends(task);
}

static int (*const bodies[TASK_KINDS])(void *) = {task_sleep, task_spin, task_slow};

/* Return the next task, with its place in the queue taken. */
static struct task *next_task(struct task_set *set, struct task_queue *queue)
{
    struct task *task = &set->tasks[set->pushed];
    long waiting = __atomic_add_fetch(&queue->waiting, 1, __ATOMIC_RELAXED);

    if (waiting > queue->longest) {
        queue->longest = waiting;
    }
    queue->pushed++;
    task->set = set;
    task->queue = queue;
    task->kind = set->slow_every && queue->pushed % set->slow_every == 0 ? TASK_SLOW : set->work;
    task->pushed_ns = now_ns();
    return task;
}

/* Account for a task that was pushed, or that nobody took. */
static void was_pushed(struct task_set *set, struct task_queue *queue, int failed)
{
    if (failed) {
        __atomic_sub_fetch(&queue->waiting, 1, __ATOMIC_RELAXED);
        queue->pushed--;
        queue->failed++;
    } else {
        __atomic_add_fetch(&set->pushed, 1, __ATOMIC_RELEASE);
    }
}

static void NOINLINE push_one(struct task_set *set, struct task_queue *queue)
{
    struct task *task = next_task(set, queue);

    was_pushed(set, queue, ast_taskprocessor_push(queue->processor, bodies[task->kind], task));
}

static void NOINLINE push_burst(struct task_set *set, struct task_queue *queue)
{
    long long i;

    for (i = 0; i < set->burst; i++) {
        struct task *task = next_task(set, queue);

        was_pushed(set, queue, ast_taskprocessor_push(queue->processor, bodies[task->kind], task));
    }
}

static void *push_thread(void *data)
{
    struct task_set *set = data;
    int64_t start_ns = now_ns(), left_ns;
    long long batch, batches = set->rate * set->seconds / set->burst;

    for (batch = 0; batch < batches && !set->stop; batch++) {
        left_ns = start_ns + batch * set->burst * 1000000000LL / set->rate - now_ns();
        if (left_ns > 0) {
            usleep(left_ns / 1000);
        }
        if (set->burst > 1) {
            push_burst(set, &set->queues[batch % set->queue_count]);
        } else {
            push_one(set, &set->queues[batch % set->queue_count]);
        }
    }
    __atomic_store_n(&set->pushing, 0, __ATOMIC_RELEASE);
    return NULL;
}

static int open_queue(struct task_set *set, int number)
{
    struct task_queue *queue = &set->queues[number];
    char subject[NAME_BYTES + 24];

    snprintf(subject, sizeof(subject), "groundtruth/%s%02d", set->name, number);
    ast_taskprocessor_build_name(queue->name, sizeof(queue->name), "%s", subject);
    queue->processor = set->pool ? ast_threadpool_serializer(queue->name, set->pool)
                                 : ast_taskprocessor_get(queue->name, TPS_REF_DEFAULT);
    if (queue->processor && set->high_water) {
        ast_taskprocessor_alert_set_levels(queue->processor, -1, set->high_water);
    }
    return !!queue->processor;
}

static void set_free(struct task_set *set)
{
    int i;

    for (i = 0; i < set->queue_count; i++) {
        if (set->queues[i].processor) {
            ast_taskprocessor_unreference(set->queues[i].processor);
        }
    }
    if (set->pool) {
        ast_threadpool_shutdown(set->pool);
    }
    ast_free(set->tasks);
    ast_free(set);
}

static int set_open(struct task_set *set, long long threads)
{
    struct ast_threadpool_options options = {
        .version = AST_THREADPOOL_OPTIONS_VERSION,
        .initial_size = threads,
        .max_size = threads,
    };
    int i;

    set->capacity = set->rate * set->seconds;
    set->tasks = ast_calloc(set->capacity, sizeof(*set->tasks));
    set->pool = threads ? ast_threadpool_create(set->name, NULL, &options) : NULL;
    if (!set->tasks || (threads && !set->pool)) {
        return 0;
    }
    for (i = 0; i < set->queue_count; i++) {
        if (!open_queue(set, i)) {
            return 0;
        }
    }
    set->pushing = 1;
    return !ast_pthread_create(&set->pusher, NULL, push_thread, set);
}

/* Read what the set is to do; return what is wrong, or NULL. */
static const char *read_options(struct ast_cli_args *a, struct task_set *set, long long *threads)
{
    static const char *const keys[] = {"processors", "rate",  "seconds", "service",
                                       "work",       "burst", "slow",    "slow_service",
                                       "pool",       "high",  NULL};
    const char *work = S_OR(option(a, 4, "work"), "sleep");
    long long queues = 1;

    set->rate = 100;
    set->seconds = 5;
    set->burst = 1;
    set->service_us = 1000;
    set->slow_us = 500000;
    set->work = strcmp(work, "spin") ? TASK_SLEEP : TASK_SPIN;
    if (unknown_option(a, 4, keys) || (strcmp(work, "spin") && strcmp(work, "sleep"))) {
        return "unknown option";
    }
    if (!option_number(a, 4, "processors", 1, QUEUES_MAX, &queues) ||
        !option_number(a, 4, "rate", 1, 100000, &set->rate) ||
        !option_number(a, 4, "seconds", 1, SECONDS_MAX, &set->seconds) ||
        !option_number(a, 4, "service", 0, 900000, &set->service_us) ||
        !option_number(a, 4, "burst", 1, TASKS_MAX, &set->burst) ||
        !option_number(a, 4, "slow", 0, TASKS_MAX, &set->slow_every) ||
        !option_number(a, 4, "slow_service", 0, 10000000, &set->slow_us) ||
        !option_number(a, 4, "pool", 0, THREADS_MAX, threads) ||
        !option_number(a, 4, "high", 0, TASKS_MAX, &set->high_water)) {
        return "number out of bounds";
    }
    set->queue_count = queues;
    return set->rate * set->seconds > TASKS_MAX ? "too many tasks" : NULL;
}

static struct task_set **find_set(const char *name)
{
    int i;

    for (i = 0; i < SETS_MAX; i++) {
        if (sets[i] ? !strcmp(sets[i]->name, name) : !*name) {
            return &sets[i];
        }
    }
    return NULL;
}

/* groundtruth tasks start NAME [KEY=VALUE ...] */
char *tasks_start(struct ast_cli_args *a)
{
    const char *wrong = NULL;
    long long threads = 0;
    struct task_set **place, *set;

    if (a->argc < 4 || strlen(a->argv[3]) >= NAME_BYTES) {
        return CLI_SHOWUSAGE;
    }
    set = ast_calloc(1, sizeof(*set));
    if (!set) {
        return refuse(a, "no memory");
    }
    ast_copy_string(set->name, a->argv[3], sizeof(set->name));
    ast_mutex_lock(&registry);
    place = find_set("");
    if (find_set(set->name) || !place) {
        wrong = "a set of this name is there, or too many are";
    } else if (!(wrong = read_options(a, set, &threads)) && !set_open(set, threads)) {
        wrong = "no task processor, no thread or no memory";
    }
    if (wrong) {
        set_free(set);
    } else {
        *place = set;
        tasks_print(a, set);
    }
    ast_mutex_unlock(&registry);
    return wrong ? refuse(a, wrong) : CLI_SUCCESS;
}

/* groundtruth tasks result NAME */
char *tasks_result(struct ast_cli_args *a)
{
    struct task_set **place;

    if (a->argc != 4) {
        return CLI_SHOWUSAGE;
    }
    ast_mutex_lock(&registry);
    place = find_set(a->argv[3]);
    if (place) {
        tasks_print(a, *place);
    }
    ast_mutex_unlock(&registry);
    return place ? CLI_SUCCESS : refuse(a, "no such set");
}

/* End the pusher and let all tasks run out; return 0 if they do not. */
static int drain(struct task_set *set)
{
    int checks;

    __atomic_store_n(&set->stop, 1, __ATOMIC_RELAXED);
    if (set->pusher != AST_PTHREADT_NULL) {
        pthread_join(set->pusher, NULL);
        set->pusher = AST_PTHREADT_NULL;
    }
    for (checks = 0; checks < DRAIN_CHECKS; checks++) {
        if (__atomic_load_n(&set->executed, __ATOMIC_ACQUIRE) == set->pushed) {
            return 1;
        }
        usleep(DRAIN_US);
    }
    return 0;
}

/* groundtruth tasks stop NAME: what there was, and let go of the task processors */
char *tasks_stop(struct ast_cli_args *a)
{
    struct task_set **place, *set = NULL;

    if (a->argc != 4) {
        return CLI_SHOWUSAGE;
    }
    ast_mutex_lock(&registry);
    place = find_set(a->argv[3]);
    if (place && drain(*place)) {
        set = *place;
        *place = NULL;
    }
    ast_mutex_unlock(&registry);
    if (!set) {
        return refuse(a, "no such set, or its tasks do not end");
    }
    tasks_print(a, set);
    set_free(set);
    return CLI_SUCCESS;
}

int tasks_free(void)
{
    int i, done = 1;

    ast_mutex_lock(&registry);
    for (i = 0; i < SETS_MAX; i++) {
        if (sets[i] && drain(sets[i])) {
            set_free(sets[i]);
            sets[i] = NULL;
        }
        done = done && !sets[i];
    }
    ast_mutex_unlock(&registry);
    return done;
}
