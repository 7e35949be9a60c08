/* Threads that wait for all kinds of things; tells their tids and the locks' addresses. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NI __attribute__((noinline, noclone))

pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER, right = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t inherited, abandoned = PTHREAD_MUTEX_INITIALIZER, recursive;
pthread_mutex_t idle = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t written = PTHREAD_RWLOCK_INITIALIZER, read_by_two = PTHREAD_RWLOCK_INITIALIZER;
pthread_rwlock_t preferring;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
pthread_barrier_t holding, crossed;
sem_t semaphore;
int pipes[2];
pthread_t sleeper;

static void tell(const char *what)
{
    printf("%s %ld\n", what, (long)syscall(SYS_gettid));
    fflush(stdout);
}

NI void hold(void)
{
    pthread_barrier_wait(&holding);
    pause();
}

static void *holder(void *arg)
{
    tell("holder");
    pthread_mutex_lock(&plain);
    pthread_mutex_lock(&inherited);
    pthread_mutex_lock(&recursive);
    pthread_mutex_lock(&recursive);
    pthread_mutex_lock(&recursive);
    pthread_rwlock_wrlock(&written);
    pthread_rwlock_rdlock(&read_by_two);
    pthread_rwlock_rdlock(&preferring);
    hold();
    return arg;
}

static void *reader(void *arg)
{
    tell("reader");
    pthread_rwlock_rdlock(&read_by_two);
    hold();
    return arg;
}

static void *gone(void *arg)
{
    tell("gone");
    pthread_mutex_lock(&abandoned);
    return arg;
}

static void *cross(void *arg)
{
    tell(arg ? "leftmost" : "rightmost");
    pthread_mutex_lock(arg ? &left : &right);
    pthread_barrier_wait(&crossed);
    pthread_mutex_lock(arg ? &right : &left);
    return arg;
}

#define WAITER(name, ...)        \
    static void *name(void *arg) \
    {                            \
        tell(#name);             \
        __VA_ARGS__;             \
        return arg;              \
    }

static struct timespec later(void)
{
    struct timespec when;
    clock_gettime(CLOCK_REALTIME, &when);
    when.tv_sec += 1000;
    return when;
}

WAITER(wants_plain, pthread_mutex_lock(&plain))
WAITER(wants_plain_for_a_time, struct timespec t = later(); pthread_mutex_timedlock(&plain, &t))
WAITER(wants_inherited, pthread_mutex_lock(&inherited))
WAITER(wants_recursive, pthread_mutex_lock(&recursive))
WAITER(wants_abandoned, pthread_mutex_lock(&abandoned))
WAITER(wants_to_read, pthread_rwlock_rdlock(&written))
WAITER(wants_to_write, pthread_rwlock_wrlock(&written))
WAITER(wants_to_write_too, pthread_rwlock_wrlock(&read_by_two))
WAITER(prefers_to_write, pthread_rwlock_wrlock(&preferring))
WAITER(reads_after_writer, while (!(preferring.__data.__readers & 2)) usleep(1000);
       pthread_rwlock_rdlock(&preferring))
WAITER(has_condition, pthread_mutex_lock(&idle); pthread_cond_wait(&condition, &idle))
WAITER(has_condition_for_a_time, struct timespec t = later(); pthread_mutex_lock(&idle);
       pthread_cond_timedwait(&condition, &idle, &t))
WAITER(has_semaphore, sem_wait(&semaphore))
WAITER(joins, pthread_join(sleeper, 0))
WAITER(polls, struct pollfd one = {.fd = pipes[0], .events = POLLIN}; poll(&one, 1, -1))
WAITER(polls_for_a_time, struct pollfd one = {.fd = pipes[0], .events = POLLIN};
       poll(&one, 1, 1000000))
WAITER(selects, fd_set set; FD_ZERO(&set); FD_SET(pipes[0], &set);
       select(pipes[0] + 1, &set, 0, 0, 0))
WAITER(epolls, int set = epoll_create1(0); struct epoll_event one; epoll_wait(set, &one, 1, -1))
WAITER(sleeps, struct timespec t = {1000, 0}; nanosleep(&t, 0))
WAITER(reads, char byte; (void)!read(pipes[0], &byte, 1))
WAITER(
    has_child, if (!fork()) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    } wait(0))
WAITER(runs, for (;;) __asm__ volatile(""))

static void start(void *(*routine)(void *), void *arg)
{
    pthread_t made;
    if (pthread_create(&made, 0, routine, arg))
        exit(1);
}

int main(void)
{
    pthread_mutexattr_t kind;
    pthread_rwlockattr_t preference;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inherited, &kind);
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &kind);
    pthread_rwlockattr_init(&preference);
    pthread_rwlockattr_setkind_np(&preference, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&preferring, &preference);
    pthread_barrier_init(&holding, 0, 3);
    pthread_barrier_init(&crossed, 0, 2);
    sem_init(&semaphore, 0, 0);
    (void)!pipe(pipes);
    pthread_create(&sleeper, 0, sleeps, 0);
    pthread_t ending;
    pthread_create(&ending, 0, gone, 0);
    pthread_join(ending, 0);
    start(holder, 0);
    start(reader, 0);
    pthread_barrier_wait(&holding);
    start(cross, (void *)1L);
    start(cross, 0);
    void *(*waiters[])(void *) = {
        wants_plain,
        wants_plain_for_a_time,
        wants_inherited,
        wants_recursive,
        wants_abandoned,
        wants_to_read,
        wants_to_write,
        wants_to_write_too,
        prefers_to_write,
        reads_after_writer,
        has_condition,
        has_condition_for_a_time,
        has_semaphore,
        joins,
        polls,
        polls_for_a_time,
        selects,
        epolls,
        reads,
        has_child,
        runs,
    };
    for (unsigned int at = 0; at < sizeof(waiters) / sizeof(*waiters); at++)
        start(waiters[at], 0);
    pause();
    return 0;
}
