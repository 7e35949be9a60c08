/*
 * What became of the tasks of a set: how long they waited and ran, as one line of JSON.
 *
 * SPDX-License-Identifier: MIT
 */

#include "tasks.h"

#include "asterisk/strings.h"
#include "asterisk/utils.h"

static const char *const functions[TASK_KINDS] = {"task_sleep", "task_spin", "task_slow"};

/* Which tasks are meant: those of one queue, of one function, or (NULL, -1) all. */
struct choice {
    const struct task_queue *queue;
    int kind;
};

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* The smallest value that so many per cent of all do not exceed. */
static long long quantile(const int64_t *sorted, long count, int percent)
{
    return count ? sorted[(count * percent + 99) / 100 - 1] : 0;
}

static void add_times(struct ast_str **text, const char *name, int64_t *times, long count)
{
    long long total = 0;
    long i;

    for (i = 0; i < count; i++) {
        total += times[i];
    }
    qsort(times, count, sizeof(*times), compare);
    ast_str_append(text, 0,
                   ", \"%s\": {\"total_ns\": %lld, \"p50_ns\": %lld, \"p99_ns\": %lld, "
                   "\"max_ns\": %lld}",
                   name, total, quantile(times, count, 50), quantile(times, count, 99),
                   quantile(times, count, 100));
}

/* Add how many of the chosen tasks ended, and how long they waited and ran. */
static void add_tasks(struct ast_str **text, const struct task_set *set, struct choice choice,
                      int64_t *waits, int64_t *runs)
{
    long pushed = __atomic_load_n(&set->pushed, __ATOMIC_ACQUIRE), count = 0, i;

    for (i = 0; i < pushed; i++) {
        const struct task *task = &set->tasks[i];
        int64_t ended_ns = __atomic_load_n(&task->ended_ns, __ATOMIC_ACQUIRE);

        if (!ended_ns || (choice.queue && task->queue != choice.queue) ||
            (choice.kind >= 0 && (int)task->kind != choice.kind)) {
            continue;
        }
        waits[count] = task->started_ns - task->pushed_ns;
        runs[count++] = ended_ns - task->started_ns;
    }
    ast_str_append(text, 0, "\"executed\": %ld", count);
    add_times(text, "wait", waits, count);
    add_times(text, "run", runs, count);
}

static void add_queues(struct ast_str **text, const struct task_set *set, int64_t *waits,
                       int64_t *runs)
{
    int i;

    for (i = 0; i < set->queue_count; i++) {
        const struct task_queue *queue = &set->queues[i];

        ast_str_append(text, 0,
                       "%s{\"name\": \"%s\", \"pushed\": %ld, \"failed\": %ld, "
                       "\"longest_queue\": %ld, ",
                       i ? ", " : "", queue->name, queue->pushed, queue->failed, queue->longest);
        add_tasks(text, set, (struct choice){queue, -1}, waits, runs);
        ast_str_append(text, 0, "}");
    }
}

static void add_functions(struct ast_str **text, const struct task_set *set, int64_t *waits,
                          int64_t *runs)
{
    int kind;

    for (kind = 0; kind < TASK_KINDS; kind++) {
        ast_str_append(text, 0, "%s{\"name\": \"%s\", ", kind ? ", " : "", functions[kind]);
        add_tasks(text, set, (struct choice){NULL, kind}, waits, runs);
        ast_str_append(text, 0, "}");
    }
}

static const char *state(const struct task_set *set)
{
    int pushing = __atomic_load_n(&set->pushing, __ATOMIC_ACQUIRE);

    return pushing || __atomic_load_n(&set->executed, __ATOMIC_ACQUIRE) != set->pushed ? "running"
                                                                                       : "done";
}

void tasks_print(struct ast_cli_args *a, const struct task_set *set)
{
    struct ast_str *text = ast_str_create(4096);
    int64_t *times = ast_calloc(2 * set->capacity, sizeof(*times));

    if (text && times) {
        int64_t *runs = times + set->capacity;

        ast_str_append(&text, 0,
                       "{\"set\": \"%s\", \"state\": \"%s\", \"pushed\": %ld, "
                       "\"first_push_ns\": %lld, ",
                       set->name, state(set), __atomic_load_n(&set->pushed, __ATOMIC_ACQUIRE),
                       (long long)set->tasks[0].pushed_ns);
        add_tasks(&text, set, (struct choice){NULL, -1}, times, runs);
        ast_str_append(&text, 0, ", \"processors\": [");
        add_queues(&text, set, times, runs);
        ast_str_append(&text, 0, "], \"functions\": [");
        add_functions(&text, set, times, runs);
        ast_cli(a->fd, "%s]}\n", ast_str_buffer(text));
    } else {
        ast_cli(a->fd, "{\"error\": \"no memory\"}\n");
    }
    ast_free(text);
    ast_free(times);
}
