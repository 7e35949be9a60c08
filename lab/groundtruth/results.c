/*
 * What the threads of a run counted: added up per lookup, printed as one line of JSON.
 *
 * SPDX-License-Identifier: MIT
 */

#include "runs.h"

#include "asterisk/strings.h"

void lookup_end(struct worker *worker, int hit)
{
    struct level *level = &worker->levels[worker->depth];
    uint64_t slots = worker->run->slots;

    if (level->comparisons < slots && level->sorts < slots) {
        level->histogram[level->comparisons]++;
        level->sort_histogram[level->sorts]++;
    } else {
        level->beyond++;
    }
    level->comparisons_total += level->comparisons;
    level->sorts_total += level->sorts;
    level->hits += !!hit;
    /* Last: whoever reads while the run goes on never sees a lookup without its comparisons. */
    __atomic_store_n(&level->lookups, level->lookups + 1, __ATOMIC_RELEASE);
}

static uint64_t sum(const struct run *run, int depth, size_t field)
{
    uint64_t total = 0;
    int i;

    for (i = 0; i < run->threads; i++) {
        const char *level = (const char *)&run->workers[i].levels[depth];

        total += __atomic_load_n((const uint64_t *)(level + field), __ATOMIC_ACQUIRE);
    }
    return total;
}

#define SUM(run, depth, field) sum(run, depth, offsetof(struct level, field))

static void add_histogram(struct ast_str **text, const struct run *run, int depth, int sorts)
{
    const char *separator = "";
    uint64_t slot;
    int i;

    ast_str_append(text, 0, "{");
    for (slot = 0; slot < run->slots; slot++) {
        uint64_t lookups = 0;

        for (i = 0; i < run->threads; i++) {
            const struct level *level = &run->workers[i].levels[depth];

            lookups += sorts ? level->sort_histogram[slot] : level->histogram[slot];
        }
        if (lookups) {
            ast_str_append(text, 0, "%s\"%llu\": %llu", separator, (unsigned long long)slot,
                           (unsigned long long)lookups);
            separator = ", ";
        }
    }
    ast_str_append(text, 0, "}");
}

static void add_level(struct ast_str **text, const struct run *run, int depth)
{
    unsigned long long lookups = SUM(run, depth, lookups), hits = SUM(run, depth, hits);

    ast_str_append(text, 0,
                   "\"lookups\": %llu, \"hits\": %llu, \"comparisons\": %llu, "
                   "\"sort_calls\": %llu, \"beyond\": %llu",
                   lookups, hits, (unsigned long long)SUM(run, depth, comparisons_total),
                   (unsigned long long)SUM(run, depth, sorts_total),
                   (unsigned long long)SUM(run, depth, beyond));
    if (run->done) {
        ast_str_append(text, 0, ", \"histogram\": ");
        add_histogram(text, run, depth, 0);
        ast_str_append(text, 0, ", \"sort_histogram\": ");
        add_histogram(text, run, depth, 1);
    }
}

/* One that has searched and so knows the call site: on a busy machine others may have ended without
 * a CPU. */
static const struct worker *worker_that_searched(const struct run *run)
{
    int i;

    for (i = 0; i < run->threads; i++) {
        if (run->workers[i].line) {
            return &run->workers[i];
        }
    }
    return &run->workers[0];
}

void run_print(struct ast_cli_args *a, const struct run *run)
{
    const struct worker *worker = worker_that_searched(run);
    int64_t elapsed = run->go ? (run->done ? run->end_ns : now_ns()) - run->start_ns : 0;
    unsigned long long changes = 0;
    struct ast_str *text = ast_str_create(4096);
    int depth, i;

    if (!text) {
        ast_cli(a->fd, "{\"error\": \"no memory\"}\n");
        return;
    }
    for (i = 0; i < run->churners; i++) {
        changes += __atomic_load_n(&run->changes[i], __ATOMIC_RELAXED);
    }
    ast_str_append(
        &text, 0,
        "{\"run\": %d, \"state\": \"%s\", \"container\": \"%s\", "
        "\"address\": \"%p\", \"search\": \"%s\", \"entry\": \"%s\", \"file\": \"searches.c\", "
        "\"line\": %d, \"function\": \"%s\", \"threads\": %d, \"changes\": %llu, "
        "\"elapsed_ns\": %lld, \"lookups_per_second\": %.1f, ",
        run->number, run->done ? "done" : "running", run->container, run->address,
        run->search->name, run->search->entry, worker->line, S_OR(worker->function, ""),
        run->threads, changes, (long long)elapsed,
        elapsed > 0 ? SUM(run, 0, lookups) * 1e9 / elapsed : 0.0);
    add_level(&text, run, 0);
    ast_str_append(&text, 0, ", \"nested\": [");
    for (depth = 1; depth < run->depth; depth++) {
        ast_str_append(&text, 0, depth > 1 ? ", {" : "{");
        add_level(&text, run, depth);
        ast_str_append(&text, 0, "}");
    }
    ast_cli(a->fd, "%s]}\n", ast_str_buffer(text));
    ast_free(text);
}
