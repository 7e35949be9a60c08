/*
 * Runs as the console knows them: planned from a command's arguments, started, looked up, freed.
 *
 * SPDX-License-Identifier: MIT
 */

#include "runs.h"

#include "asterisk/utils.h"

/* A lookup can make this many comparisons more than its container had elements at first. */
#define SLOTS_SPARE (CHURNERS_MAX * CHURN_BATCH + 1024)

AST_MUTEX_DEFINE_STATIC(table);
static struct run *runs[RUNS_MAX];
static int last_number;

void run_release(struct run *run)
{
    if (run->box) {
        if (run->claims) {
            run->box->claimed = 0;
        }
        box_put(run->box);
        run->box = NULL;
    }
    if (run->inner) {
        box_put(run->inner);
        run->inner = NULL;
    }
}

static void free_run(struct run *run)
{
    int i, depth;

    for (i = 0; i < run->threads; i++) {
        for (depth = 0; depth < DEPTH_MAX; depth++) {
            ast_free(run->workers[i].levels[depth].histogram);
            ast_free(run->workers[i].levels[depth].sort_histogram);
        }
    }
    for (i = 0; i < MISSING_KEYS; i++) {
        ao2_cleanup(run->absent[i]);
    }
    if (run->wanted != run->absent) {
        ast_free(run->wanted);
    }
    run_release(run);
    ast_mutex_destroy(&run->lock);
    ast_cond_destroy(&run->changed);
    ast_free(run);
}

/* Choose what is looked for. at > 0 takes only elements at that place of their chain. */
static const char *choose_wanted(struct run *run, long long at)
{
    struct box *box = run->box;
    int i;

    for (i = 0; i < MISSING_KEYS; i++) {
        run->absent[i] = item_alloc("nowhere-%07u", i, 0);
        if (!run->absent[i]) {
            return "no memory";
        }
    }
    run->wanted = run->absent;
    run->wanted_count = MISSING_KEYS;
    if (!run->search->hits) {
        return NULL;
    }
    run->wanted_count = 0;
    run->wanted = ast_calloc(box->count + 1, sizeof(*run->wanted));
    if (!run->wanted) {
        return "no memory";
    }
    for (i = 0; i < box->count; i++) {
        if (!at || box->places[i] == at) {
            run->wanted[run->wanted_count++] = box->items[i];
        }
    }
    return run->wanted_count ? NULL : "no element at that place";
}

/* A run that must be the only one of its sort on its container. */
static int claims(const struct run *run)
{
    return run->churners || run->search->changes || run->search->iterates;
}

/*
 * Linking into a sorted chain calls the sort function with the NULL of a node that an iterator
 * keeps after its element was unlinked (seen on 16.28): a crash, not a measurement.
 */
static int meets_emptied_nodes(const struct run *run, int changes)
{
    return run->box->sorted && run->box->kind != KIND_RBTREE && changes &&
           (run->box->hollow || run->search->iterates);
}

/* Refuse what could deadlock, corrupt or crash. Holds the registry's lock. */
static const char *find_danger(const struct run *run, long long depth)
{
    int changes = run->churners || run->search->changes, users;

    if (run->search->entry[sizeof("__ao2_w") - 2] == 'w' && !run->box->weak) {
        return "the container is not weak";
    }
    if (run->box->lock == AO2_ALLOC_OPT_LOCK_NOLOCK && changes &&
        run->threads + run->churners > 1) {
        return "several threads would change a container without a lock";
    }
    if (claims(run) && run->box->claimed) {
        return "another run changes the container or iterates over it";
    }
    if (meets_emptied_nodes(run, changes)) {
        return "Asterisk cannot link into a sorted chain that has emptied nodes";
    }
    if (!run->inner) {
        return NULL;
    }
    users = run->inner == run->box ? 2 : 1;
    if (run->box->users != users || run->inner->users != users) {
        return "a container of a nested run is in use";
    }
    if (changes && (run->inner == run->box || depth > 2) &&
        run->inner->lock == AO2_ALLOC_OPT_LOCK_RWLOCK) {
        return "a read-write lock would be taken twice while others change the container";
    }
    return NULL;
}

static const char *read_numbers(struct ast_cli_args *a, struct run *run, long long *at,
                                long long *depth, long long *every)
{
    long long threads = 1, count = 0, churners = 0;

    *at = 0;
    *depth = 2;
    *every = 1;
    run->seconds = 60;
    if (!option_number(a, 4, "threads", 1, THREADS_MAX, &threads) ||
        !option_number(a, 4, "count", 1, LOOKUPS_MAX, &count) ||
        !option_number(a, 4, "seconds", 1, SECONDS_MAX, &run->seconds) ||
        !option_number(a, 4, "rate", 1, 1000000, &run->rate) ||
        !option_number(a, 4, "at", 1, ELEMENTS_MAX, at) ||
        !option_number(a, 4, "churners", 1, CHURNERS_MAX, &churners) ||
        !option_number(a, 4, "churn", 1, 1000000, &run->churn_rate) ||
        !option_number(a, 4, "depth", 2, DEPTH_MAX, depth) ||
        !option_number(a, 4, "every", 1, ELEMENTS_MAX, every)) {
        return "number out of bounds";
    }
    run->count = count;
    run->threads = threads;
    run->churners = churners;
    return NULL;
}

static const char *prepare_workers(struct run *run, long long every, int nest_hit)
{
    struct worker *worker;
    int i, level;

    run->slots = run->box->capacity + (run->inner ? run->inner->capacity : 0) + SLOTS_SPARE;
    for (i = 0; i < run->threads; i++) {
        worker = &run->workers[i];
        worker->run = run;
        worker->number = i;
        worker->inner = run->inner ? run->inner->container : NULL;
        worker->nest_depth = run->depth;
        worker->nest_every = every;
        worker->nest_key = "nowhere";
        if (nest_hit && run->inner && run->inner->count) {
            worker->nest_key = run->inner->items[i % run->inner->count]->name;
        }
        for (level = 0; level < worker->nest_depth; level++) {
            worker->levels[level].histogram = ast_calloc(run->slots, sizeof(uint64_t));
            worker->levels[level].sort_histogram = ast_calloc(run->slots, sizeof(uint64_t));
            if (!worker->levels[level].histogram || !worker->levels[level].sort_histogram) {
                return "no memory";
            }
        }
    }
    return NULL;
}

/* Read the arguments of `groundtruth run|start NAME SEARCH [KEY=VALUE ...]` into the run. */
static const char *plan(struct ast_cli_args *a, struct run *run)
{
    static const char *const keys[] = {"threads", "count", "seconds", "rate",  "at",    "churners",
                                       "churn",   "inner", "nest",    "depth", "every", NULL};
    const char *inner = option(a, 4, "inner"), *nest = option(a, 4, "nest"), *reason;
    long long at, depth, every;

    run->search = search_find(a->argv[3]);
    if (!run->search || unknown_option(a, 4, keys)) {
        return "no such search or option";
    }
    reason = read_numbers(a, run, &at, &depth, &every);
    if (reason) {
        return reason;
    }
    run->box = box_get(a->argv[2]);
    run->inner = inner ? box_get(inner) : NULL;
    if (!run->box || (inner && !run->inner)) {
        return "no such container";
    }
    ast_copy_string(run->container, run->box->name, sizeof(run->container));
    run->address = run->box->container;
    run->depth = run->inner ? depth : 1;
    registry_lock();
    reason = find_danger(run, depth);
    if (!reason) {
        reason = choose_wanted(run, at);
    }
    if (!reason && claims(run)) {
        run->claims = run->box->claimed = 1;
    }
    registry_unlock();
    return reason ? reason : prepare_workers(run, every, nest && !strcmp(nest, "hit"));
}

/* Start the threads; they wait for the supervisor. Cut the plan short if some do not start. */
static void start_threads(struct run *run)
{
    int i;

    for (i = 0; i < run->threads; i++) {
        if (ast_pthread_create(&run->workers[i].thread, NULL, search_thread, &run->workers[i])) {
            run->threads = i;
        }
    }
    run->active = run->threads;
    for (i = 0; i < run->churners; i++) {
        struct churner *churner = ast_calloc(1, sizeof(*churner));

        if (churner) {
            churner->run = run;
            churner->number = i;
        }
        if (!churner || ast_pthread_create(&run->churn_threads[i], NULL, churn_thread, churner)) {
            ast_free(churner);
            run->churners = i;
        }
    }
}

/* Put the run into the table, in place of one that is done if need be. Return 0 when full. */
static int enter(struct run *run)
{
    int i, place = -1;

    for (i = 0; i < RUNS_MAX; i++) {
        if (!runs[i]) {
            place = i;
            break;
        }
        if (runs[i]->done && (place < 0 || runs[i]->number < runs[place]->number)) {
            place = i;
        }
    }
    if (place < 0) {
        return 0;
    }
    if (runs[place]) {
        if (runs[place]->supervised) {
            pthread_join(runs[place]->supervisor, NULL);
        }
        free_run(runs[place]);
    }
    run->number = ++last_number;
    runs[place] = run;
    return 1;
}

/* Start a planned run that is in the table; `wait` supervises it on the calling thread. */
static void launch(struct ast_cli_args *a, struct run *run, int wait)
{
    start_threads(run);
    if (!wait && !ast_pthread_create(&run->supervisor, NULL, supervise_thread, run)) {
        run->supervised = 1;
        ast_cli(a->fd, "{\"run\": %d, \"state\": \"running\"}\n", run->number);
        return;
    }
    supervise(run);
    run_print(a, run);
}

char *run_start(struct ast_cli_args *a, int wait)
{
    const char *reason;
    struct run *run;

    if (a->argc < 4) {
        return CLI_SHOWUSAGE;
    }
    run = ast_calloc(1, sizeof(*run));
    if (!run) {
        return refuse(a, "no memory");
    }
    ast_mutex_init(&run->lock);
    ast_cond_init(&run->changed, NULL);
    reason = plan(a, run);
    if (!reason) {
        ast_mutex_lock(&table);
        if (!enter(run)) {
            reason = "too many runs";
        }
        ast_mutex_unlock(&table);
    }
    if (reason) {
        free_run(run);
        return refuse(a, reason);
    }
    launch(a, run, wait);
    return CLI_SUCCESS;
}

/* Return the run of that number, the last one if there is no number. Holds the table's lock. */
static struct run *find_run(struct ast_cli_args *a)
{
    long long number = last_number;
    int i;

    if (a->argc > 3 || (a->argc == 3 && !parse_number(a->argv[2], 1, INT_MAX, &number))) {
        return NULL;
    }
    for (i = 0; i < RUNS_MAX; i++) {
        if (runs[i] && runs[i]->number == number) {
            return runs[i];
        }
    }
    return NULL;
}

/* groundtruth result [RUN] */
char *run_result(struct ast_cli_args *a)
{
    struct run *run;

    ast_mutex_lock(&table);
    run = find_run(a);
    if (run) {
        run_print(a, run);
    }
    ast_mutex_unlock(&table);
    return run ? CLI_SUCCESS : refuse(a, "no such run");
}

static void stop_run(struct run *run)
{
    ast_mutex_lock(&run->lock);
    __atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
    ast_cond_broadcast(&run->changed);
    ast_mutex_unlock(&run->lock);
}

/* groundtruth stop [RUN]: end it now; its result stays */
char *run_stop(struct ast_cli_args *a)
{
    struct run *run;

    ast_mutex_lock(&table);
    run = find_run(a);
    if (run) {
        stop_run(run);
        ast_cli(a->fd, "{\"run\": %d, \"state\": \"stopping\"}\n", run->number);
    }
    ast_mutex_unlock(&table);
    return run ? CLI_SUCCESS : refuse(a, "no such run");
}

/* End and free every run; return 0 if one is supervised by a console that still waits for it. */
int runs_free(void)
{
    int i, waited = 0;

    ast_mutex_lock(&table);
    for (i = 0; i < RUNS_MAX; i++) {
        if (!runs[i]) {
            continue;
        }
        stop_run(runs[i]);
        if (runs[i]->supervised) {
            pthread_join(runs[i]->supervisor, NULL);
        } else if (!runs[i]->done) {
            waited = 1;
            continue;
        }
        free_run(runs[i]);
        runs[i] = NULL;
    }
    ast_mutex_unlock(&table);
    return !waited;
}
