/* Threads that wait in known functions, and say how often and how long by their own clocks. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS  31
#define WAIT_US 20000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t stuck = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t held, done;
static atomic_int wanting; /* the thread that is about to want what is held */
static int wants_it, has_work, ends[2], quiet[2];
static pthread_barrier_t begin;

static long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

__attribute__((noinline)) void want_mutex(void)
{
    pthread_mutex_lock(&mutex);
    asm volatile("");
}

__attribute__((noinline)) void give_mutex(void)
{
    pthread_mutex_unlock(&mutex);
    asm volatile("");
}

__attribute__((noinline)) void want_rwlock(void)
{
    pthread_rwlock_rdlock(&rwlock);
    asm volatile("");
}

__attribute__((noinline)) void want_work(void)
{
    pthread_mutex_lock(&guard);
    wants_it = 1;
    while (!has_work)
        pthread_cond_wait(&condition, &guard);
    has_work = 0;
    pthread_mutex_unlock(&guard);
}

__attribute__((noinline)) void want_sleep(void)
{
    usleep(WAIT_US);
    asm volatile("");
}

__attribute__((noinline)) void want_poll(void)
{
    struct pollfd one = {quiet[0], POLLIN, 0};
    poll(&one, 1, WAIT_US / 1000);
    asm volatile("");
}

__attribute__((noinline)) void want_read(void)
{
    char byte;
    read(ends[0], &byte, 1);
    asm volatile("");
}

struct wait {
    const char *kind;
    void (*wait)(void);
    void (*before)(void);
    void (*after)(void);
    long ns;
};

static void until_held(void)
{
    sem_wait(&held);
    wanting = gettid();
}

static int sleeps(int tid)
{
    char path[64], stat[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    int file = open(path, O_RDONLY);
    read(file, stat, sizeof(stat) - 1);
    close(file);
    char *state = strrchr(stat, ')');
    return state && state[1] && state[2] == 'S';
}

static void give_back(void)
{
    pthread_mutex_unlock(&mutex);
    sem_post(&done);
}

static void give_rwlock(void)
{
    pthread_rwlock_unlock(&rwlock);
    sem_post(&done);
}

static void *waiter(void *argument)
{
    struct wait *one = argument;
    pthread_barrier_wait(&begin);
    for (int round = 0; round < ROUNDS; round++) {
        if (one->before)
            one->before();
        long start = now_ns();
        one->wait();
        one->ns += now_ns() - start;
        if (one->after)
            one->after();
    }
    return 0;
}

/* Holds the mutex and the rwlock, one after the other, while somebody wants it. */
static void *holder(void *is_rwlock)
{
    pthread_barrier_wait(&begin);
    for (int round = 0; round < ROUNDS; round++) {
        if (is_rwlock)
            pthread_rwlock_wrlock(&rwlock);
        else
            pthread_mutex_lock(&mutex);
        sem_post(&held);
        while (!wanting || !sleeps(wanting)) /* each round has its wait, however late it is */
            usleep(WAIT_US / 20);
        wanting = 0;
        usleep(WAIT_US);
        if (is_rwlock)
            pthread_rwlock_unlock(&rwlock);
        else
            give_mutex();
        sem_wait(&done);
    }
    return 0;
}

static void *giver(void *none)
{
    pthread_barrier_wait(&begin);
    for (int round = 0; round < ROUNDS; round++) {
        usleep(WAIT_US);
        pthread_mutex_lock(&guard);
        while (!wants_it) { /* each round has its wait, however late this machine is */
            pthread_mutex_unlock(&guard);
            usleep(WAIT_US / 10);
            pthread_mutex_lock(&guard);
        }
        wants_it = 0;
        has_work = 1;
        pthread_mutex_unlock(&guard);
        pthread_cond_signal(&condition);
        write(ends[1], "", 1);
    }
    return 0;
}

__attribute__((noinline)) void want_stuck(void)
{
    pthread_mutex_lock(&stuck);
    asm volatile("");
}

static void *stuck_one(void *none)
{
    want_stuck();
    return 0;
}

static void together(int count, void *(*const functions[])(void *), void *const arguments[])
{
    pthread_t threads[8];
    pthread_barrier_init(&begin, 0, count);
    for (int at = 0; at < count; at++)
        pthread_create(&threads[at], 0, functions[at], arguments[at]);
    for (int at = 0; at < count; at++)
        pthread_join(threads[at], 0);
}

int main(void)
{
    struct wait waits[] = {
        {"lock want_mutex", want_mutex, until_held, give_back},
        {"lock want_rwlock", want_rwlock, until_held, give_rwlock},
        {"condition want_work", want_work},
        {"sleep want_sleep", want_sleep},
        {"network want_poll", want_poll},
        {"pipe want_read", want_read},
    };
    pthread_t thread;
    char line[8];
    pipe(ends);
    pipe(quiet);
    puts("ready");
    fflush(stdout);
    fgets(line, sizeof(line), stdin);
    pthread_mutex_lock(&stuck);
    pthread_create(&thread, 0, stuck_one, 0);
    together(2, (void *(*const[])(void *)){holder, waiter}, (void *[]){0, &waits[0]});
    together(2, (void *(*const[])(void *)){holder, waiter}, (void *[]){"", &waits[1]});
    together(5, (void *(*const[])(void *)){giver, waiter, waiter, waiter, waiter},
             (void *[]){0, &waits[2], &waits[3], &waits[4], &waits[5]});
    for (int at = 0; at < 6; at++)
        printf("%s %d %ld\n", waits[at].kind, ROUNDS, waits[at].ns);
    puts("over");
    fflush(stdout);
    fgets(line, sizeof(line), stdin);
    return 0;
}
