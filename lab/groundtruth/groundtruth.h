/*
 * groundtruth: containers of Asterisk whose comparators count their own calls.
 *
 * SPDX-License-Identifier: MIT
 *
 * One owner per file: items.c (elements and their comparators), containers.c and hollow.c (what is
 * searched), searches.c and orders.c (one function per kind of search), runs.c (threads that
 * search), results.c (what they counted), park.c (threads in known places), waits.c,
 * wait_scenes.c and wait_threads.c (threads that wait for each other), contention.c (threads that take
 * one lock again and again), objects.c, references.c and truth.c (objects that live and die, and some
 * that do not), taskprocessors.c (the leak), tasks.c and task_results.c (tasks of known times),
 * groundtruth.c (the console command).
 */

#ifndef GROUNDTRUTH_H
#define GROUNDTRUTH_H

#include "asterisk.h"

#include "asterisk/astobj2.h"
#include "asterisk/cli.h"
#include "asterisk/lock.h"

#define NAME_BYTES     32
#define CONTAINERS_MAX 16
#define ELEMENTS_MAX   2000000
#define BUCKETS_MAX    1000003
#define HOLLOW_MAX     1000
#define MISSING_KEYS   1024
/* Lookups nest at most this deep: the outermost and those that comparators make. */
#define DEPTH_MAX   4
#define THREADS_MAX 32
#define SECONDS_MAX 900
#define LOOKUPS_MAX 1000000000ULL

/* An element. A weak container holds it as a proxy of another object, others use the name only. */
struct item {
    AO2_WEAKPROXY();
    char name[NAME_BYTES];
};

enum kind { KIND_HASH, KIND_RBTREE, KIND_LIST };

/* A container and what the module knows about it. `users` runs keep it from being freed. */
struct box {
    char name[NAME_BYTES];
    struct ao2_container *container;
    enum kind kind;
    int sorted;
    int weak;
    int buckets;
    unsigned int lock;
    int users;
    /* A run changes it or iterates over it: at most one does. */
    int claimed;
    /* Elements in traversal order, one reference each. */
    struct item **items;
    /* For each of them, its place in its chain, from 1; a list and a tree are one chain. */
    int *places;
    int count;
    int capacity;
    /* What proxies stand for. */
    void **targets;
    int target_count;
    struct ao2_iterator *iterators;
    int hollow;
};

/* One level of nesting on one thread: what the running lookup counted, and all that ended. */
struct level {
    uint64_t comparisons;
    uint64_t sorts;
    uint64_t lookups;
    uint64_t hits;
    uint64_t comparisons_total;
    uint64_t sorts_total;
    /* histogram[n]: lookups that made n comparisons; the same for calls of the sort function. */
    uint64_t *histogram;
    uint64_t *sort_histogram;
    uint64_t beyond;
};

struct run;

/* A thread that searches. Only that thread writes; totals are read while it runs. */
struct worker {
    struct run *run;
    pthread_t thread;
    int number;
    int depth;
    struct level levels[DEPTH_MAX];
    /* Where the search calls Asterisk: what a profiler sees as the call site. */
    int line;
    const char *function;
    struct ao2_container *inner;
    int nest_depth;
    uint64_t nest_every;
    uint64_t nest_calls;
    const char *nest_key;
};

/* The searching thread's own worker; NULL on every other thread, whose calls are not counted. */
extern __thread struct worker *searching
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Forget what the lookup at the current depth has counted so far. */
static inline void lookup_begin(struct worker *worker)
{
    worker->levels[worker->depth].comparisons = 0;
    worker->levels[worker->depth].sorts = 0;
}

void lookup_end(struct worker *worker, int hit);

/* One kind of search: `find` makes one lookup and returns whether it found what it looked for. */
struct search {
    const char *name;
    /* The exported function of Asterisk that it enters. */
    const char *entry;
    int (*find)(struct worker *worker, struct box *box, struct item *wanted);
    /* Whether `wanted` is an element (else one of a name that is absent). */
    int hits;
    /* Whether it takes elements out and puts them back. */
    int changes;
    /* Whether it keeps an iterator. */
    int iterates;
};

/* Note where the call on the same line stands: that is the call site which Asterisk gets. */
#define HERE(worker) ((worker)->line = __LINE__, (worker)->function = __PRETTY_FUNCTION__)

#define SEARCH static int __attribute__((noinline))

extern const struct search order_searches[];
const struct search *search_find(const char *name);

int item_hash(const void *object, int flags);
int item_sort(const void *left, const void *right, int flags);
int item_compare(void *object, void *argument, int flags);
struct item *item_alloc(const char *format, unsigned int number, int weak);
void item_link(struct box *box, struct item *item);

void registry_lock(void);
void registry_unlock(void);
struct box *box_get(const char *name);
void box_put(struct box *box);
void box_order(struct box *box);
char *box_make(struct ast_cli_args *a);
char *box_free(struct ast_cli_args *a);
char *box_hollow(struct ast_cli_args *a);
char *box_fill(struct ast_cli_args *a);
char *box_list(struct ast_cli_args *a);
int boxes_free(void);

char *run_start(struct ast_cli_args *a, int wait);
char *run_result(struct ast_cli_args *a);
char *run_stop(struct ast_cli_args *a);
int runs_free(void);

char *park_start(struct ast_cli_args *a);
char *park_end(struct ast_cli_args *a);
char *spin_start(struct ast_cli_args *a);
int parked_free(void);

char *wait_start(struct ast_cli_args *a);
char *wait_end(struct ast_cli_args *a);
int waits_free(int *timed_out);

char *contend_start(struct ast_cli_args *a);
char *contend_end(struct ast_cli_args *a);
void contention_free(void);
char *objects_command(struct ast_cli_args *a);
void objects_free(void);

char *taskprocessors_leak(struct ast_cli_args *a);
char *taskprocessors_free(struct ast_cli_args *a);
void taskprocessors_drop(void);

char *tasks_start(struct ast_cli_args *a);
char *tasks_result(struct ast_cli_args *a);
char *tasks_stop(struct ast_cli_args *a);
int tasks_free(void);

int64_t now_ns(void);

/* Print a line that says why the command was refused, and return what the console expects. */
char *refuse(struct ast_cli_args *a, const char *reason);
/* Read a number between low and high from text; return 0 if it is none. */
int parse_number(const char *text, long long low, long long high, long long *value);
/* Return the text after `key=` among the arguments from `first` on, or NULL. */
const char *option(struct ast_cli_args *a, int first, const char *key);
/* Read `key=NUMBER`; leave *value when it is not given; return 0 if it is out of bounds. */
int option_number(struct ast_cli_args *a, int first, const char *key, long long low, long long high,
                  long long *value);
/* Return NULL if every argument from `first` on is KEY=VALUE with a key among `keys`. */
const char *unknown_option(struct ast_cli_args *a, int first, const char *const *keys);

#endif
