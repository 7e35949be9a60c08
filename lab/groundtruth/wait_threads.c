/*
 * Threads that take a lock and then wait: for another lock, or for nothing that another one has.
 *
 * What they wait in are functions of their own, so that a stack shows which.
 *
 * SPDX-License-Identifier: MIT
 */

#include "waits.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>

#include "asterisk/utils.h"

#define NOINLINE __attribute__((noinline))

int wait_ready, wait_begun;
AST_MUTEX_DEFINE_STATIC(gate);
static ast_cond_t gate_changed;
static int gate_made, go, released;
static int silent_pipe[2] = {-1, -1};
static volatile uint64_t spun;
/* Where a thread goes on that waits with a timed lock, when the scene is to end before that. */
static __thread sigjmp_buf *way_out __attribute__((tls_model("initial-exec")));
static const char *const rest_names[] = {"condition", "timed-condition", "sleep", "poll", "read",
                                         "spin"};

const char *rest_name(enum rest rest)
{
    return rest_names[rest];
}

int rest_find(const char *name)
{
    int i;

    for (i = 0; i < ARRAY_LEN(rest_names); i++) {
        if (!strcmp(rest_names[i], name)) {
            return i;
        }
    }
    return -1;
}

/* Asterisk tells where the mutex of an object is, not where a rwlock is: as far before what stands
 * between lock and object (astobj2.c, struct astobj2_lock and struct astobj2_rwlock). */
static const void *object_rwlock(void *object)
{
    struct {
        ast_rwlock_t lock;
        int lockers;
    } * lock;
    char *other = ao2_alloc(8, NULL);
    size_t between = other - (char *)ao2_object_get_lockaddr(other) - sizeof(ast_mutex_t);

    ao2_ref(other, -1);
    return (char *)object - between - sizeof(*lock);
}

const void *wait_lock_address(const struct wait_lock *lock)
{
    switch (lock->kind) {
    case LOCK_OBJECT:
        return ao2_object_get_lockaddr(lock->object);
    case LOCK_OBJECT_RWLOCK:
        return object_rwlock(lock->object);
    case LOCK_RWLOCK:
        return &lock->rwlock;
    default:
        return &lock->mutex;
    }
}

static int ended(void)
{
    return __atomic_load_n(&released, __ATOMIC_RELAXED);
}

static struct timespec deadline(long long seconds)
{
    struct timeval end = ast_tvadd(ast_tvnow(), ast_tv(seconds, 0));

    return (struct timespec){end.tv_sec, end.tv_usec * 1000};
}

/* Each keeps its frame: what follows the wait is not its last call. */
static int NOINLINE lock_mutex_here(struct wait_lock *lock)
{
    int failed = ast_mutex_lock(&lock->mutex);

    spun++;
    return failed;
}

static int NOINLINE lock_object_here(struct wait_lock *lock)
{
    int failed = ao2_lock(lock->object);

    spun++;
    return failed;
}

static int NOINLINE read_lock_here(struct wait_lock *lock)
{
    int failed = lock->object ? ao2_rdlock(lock->object) : ast_rwlock_rdlock(&lock->rwlock);

    spun++;
    return failed;
}

static int NOINLINE write_lock_here(struct wait_lock *lock)
{
    int failed = lock->object ? ao2_wrlock(lock->object) : ast_rwlock_wrlock(&lock->rwlock);

    spun++;
    return failed;
}

static void leave_lock(int number)
{
    if (way_out) {
        siglongjmp(*way_out, 1);
    }
}

/* Give up at last, or at the signal: so does a deadlock of ours end, and the instance lives on. */
static int NOINLINE timed_lock_here(struct wait_lock *lock, long long seconds)
{
    struct timespec end = deadline(seconds);
    ast_mutex_t *mutex = lock->object ? ao2_object_get_lockaddr(lock->object) : &lock->mutex;
    sigjmp_buf here;
    int failed = ETIMEDOUT;

    if (!sigsetjmp(here, 1)) {
        way_out = &here;
        failed = pthread_mutex_timedlock(&mutex->mutex, &end);
    }
    way_out = NULL;
    return failed;
}

static int is_rwlock(const struct wait_lock *lock)
{
    return lock->kind == LOCK_RWLOCK || lock->kind == LOCK_OBJECT_RWLOCK;
}

static int lock_it(struct actor *actor, struct wait_lock *lock, enum mode mode)
{
    if (mode == MODE_TIMED) {
        actor->function = "timed_lock_here";
        return timed_lock_here(lock, actor->seconds);
    } else if (is_rwlock(lock)) {
        actor->function = mode == MODE_READ ? "read_lock_here" : "write_lock_here";
        return mode == MODE_READ ? read_lock_here(lock) : write_lock_here(lock);
    }
    actor->function = lock->object ? "lock_object_here" : "lock_mutex_here";
    return lock->object ? lock_object_here(lock) : lock_mutex_here(lock);
}

static void unlock_it(struct wait_lock *lock)
{
    if (lock->object) {
        ao2_unlock(lock->object);
    } else if (is_rwlock(lock)) {
        ast_rwlock_unlock(&lock->rwlock);
    } else {
        ast_mutex_unlock(&lock->mutex);
    }
}

static void NOINLINE condition_here(void)
{
    ast_mutex_lock(&gate);
    while (!released) {
        ast_cond_wait(&gate_changed, &gate);
    }
    ast_mutex_unlock(&gate);
}

static void NOINLINE timed_condition_here(void)
{
    struct timespec end = deadline(SECONDS_MAX);

    ast_mutex_lock(&gate);
    while (!released) {
        ast_cond_timedwait(&gate_changed, &gate, &end);
    }
    ast_mutex_unlock(&gate);
}

/* A signal ends each of these calls: see join in waits.c. */
static void NOINLINE sleep_here(void)
{
    struct timespec long_time = {SECONDS_MAX, 0};

    while (!ended()) {
        nanosleep(&long_time, NULL);
    }
}

static void NOINLINE poll_here(void)
{
    struct pollfd silent = {silent_pipe[0], POLLIN, 0};

    while (!ended()) {
        poll(&silent, 1, -1);
    }
}

static void NOINLINE read_here(void)
{
    char byte;

    while (!ended()) {
        if (read(silent_pipe[0], &byte, 1) > 0) {
            break;
        }
    }
}

static void NOINLINE spin_here(void)
{
    while (!ended()) {
        spun++;
    }
}

static void rest(struct actor *actor)
{
    static const struct {
        const char *name;
        void (*here)(void);
    } rests[] = {
        {"condition_here", condition_here}, {"timed_condition_here", timed_condition_here},
        {"sleep_here", sleep_here},         {"poll_here", poll_here},
        {"read_here", read_here},           {"spin_here", spin_here},
    };

    actor->function = rests[actor->rest].name;
    __atomic_add_fetch(&wait_begun, 1, __ATOMIC_RELEASE);
    rests[actor->rest].here();
}

static void wait_for_go(void)
{
    ast_mutex_lock(&gate);
    wait_ready++;
    while (!go) {
        ast_cond_wait(&gate_changed, &gate);
    }
    ast_mutex_unlock(&gate);
}

/* Take what it has, wait, and give back: this function is on its stack as long as it has the lock. */
static void NOINLINE have_it_here(struct actor *actor)
{
    int i;

    for (i = 0; i < actor->times; i++) {
        lock_it(actor, actor->has, actor->has_mode);
    }
    wait_for_go();
    if (actor->wants) {
        __atomic_add_fetch(&wait_begun, 1, __ATOMIC_RELEASE);
        actor->timed_out = lock_it(actor, actor->wants, actor->wants_mode) != 0;
        if (!actor->timed_out) {
            unlock_it(actor->wants);
        }
    } else {
        rest(actor);
    }
    for (i = 0; i < actor->times; i++) {
        unlock_it(actor->has);
    }
}

void *actor_thread(void *data)
{
    struct actor *actor = data;

    actor->tid = ast_get_tid();
    prctl(PR_SET_NAME, actor->wants ? "gt-waits" : actor->has ? "gt-holds" : "gt-rests");
    have_it_here(actor);
    __atomic_store_n(&actor->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

void actors_prepare(void)
{
    struct sigaction leave = {.sa_handler = leave_lock};

    sigaction(GIVE_UP_SIGNAL, &leave, NULL);
    if (!gate_made) {
        ast_cond_init(&gate_changed, NULL);
        gate_made = 1;
    }
    if (silent_pipe[0] < 0 && pipe(silent_pipe)) {
        silent_pipe[0] = -1;
    }
    go = 0;
    wait_ready = wait_begun = 0;
    __atomic_store_n(&released, 0, __ATOMIC_RELAXED);
}

void actors_go(void)
{
    ast_mutex_lock(&gate);
    go = 1;
    ast_cond_broadcast(&gate_changed);
    ast_mutex_unlock(&gate);
}

void actors_release(void)
{
    ast_mutex_lock(&gate);
    go = 1;
    __atomic_store_n(&released, 1, __ATOMIC_RELAXED);
    ast_cond_broadcast(&gate_changed);
    ast_mutex_unlock(&gate);
}
