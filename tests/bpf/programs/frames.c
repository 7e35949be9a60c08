/* Builds a stack of every kind of frame that a compiler makes, then spins in its leaf.
 * Arguments: the leaf's way of spinning, and how deep the recursion goes. Says "ready" there. */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static const char *mode;
static int depth;
static volatile unsigned long sink;

static NOINLINE int work(int left);

static NOINLINE void leaf(void)
{
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (*mode == 'w') {
            sink += work((int)(sink & 63)) + 1;
            continue;
        }
        if (*mode == 's') {
            getppid();
            continue;
        }
        if (*mode == 'r') {
            raise(SIGUSR2);
            continue;
        }
        if (*mode == 'v') {
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            sink += now.tv_nsec;
            continue;
        }
        for (int i = 0; i < 1000; i++)
            sink += i;
        if (*mode == 'p') {
            char text[64];
            snprintf(text, sizeof(text), "%lu", sink);
            sink += text[0];
        }
    }
}

static NOINLINE int recurse(int left)
{
    volatile char local[24];
    local[left & 15] = left;
    if (left == 0) {
        leaf();
        return 0;
    }
    return recurse(left - 1) + local[2];
}

/* Enters and leaves functions of all kinds, for who looks at each of their instructions. */
static NOINLINE int work_aligned(int left)
{
    volatile char local[64] __attribute__((aligned(64)));
    char *more = alloca(left * 8 + 16);
    memset(more, left, left * 8 + 16);
    local[left & 31] = more[3];
    return (int)sink + local[1] + more[2];
}

static NOINLINE int work_registers(int a, int b, int c, int d, int e, int f)
{
    int x = work_aligned(a), y = work_aligned(b), z = work_aligned(c);
    if (x == 77777)
        return y;
    return x * work_aligned(d) + y * work_aligned(e) + z * work_aligned(f) + a * b - c * d;
}

static NOINLINE int work_spill(int left)
{
    volatile char local[300];
    if (left > 40)
        return work_aligned(left);
    local[left] = left;
    return work_registers(left, 2, 3, 4, 5, 6) + local[left];
}

static NOINLINE int work(int left)
{
    return left == 200 ? 1 : work_spill(left);
}

/* Only a jump is left of this call when the compiler optimises. */
static NOINLINE int tail(int left)
{
    sink += left;
    return recurse(left);
}

static NOINLINE int aligned(int left)
{
    volatile char local[64] __attribute__((aligned(64)));
    local[left & 31] = left;
    return tail(left) + local[1];
}

/* Aligned and of variable size: GCC keeps the caller's frame in a register of its own. */
static NOINLINE int aligned_variable(int left)
{
    volatile char local[64] __attribute__((aligned(64)));
    char *more = alloca(left * 8 + 16);
    memset(more, left, left * 8 + 16);
    local[left & 31] = more[3];
    return aligned(left) + local[1] + more[2];
}

static void on_signal(int number)
{
    sink += aligned_variable(depth) + number;
}

static void on_other_signal(int number)
{
    sink += number;
}

static NOINLINE int interrupted(void)
{
    volatile int here = 1;
    raise(SIGUSR1);
    return here;
}

static int compare(const void *one, const void *other)
{
    int answer = interrupted();
    return answer + *(const int *)one - *(const int *)other;
}

static NOINLINE void sort(void)
{
    int values[4] = {4, 3, 2, 1};
    qsort(values, 4, sizeof(values[0]), compare);
    sink += values[0];
}

static NOINLINE int huge(void)
{
    volatile char buffer[700 * 1024];
    buffer[0] = buffer[sizeof(buffer) - 1] = 1;
    sort();
    return buffer[0];
}

static NOINLINE int variable(int size)
{
    char buffer[size];
    memset(buffer, size, size);
    int result = huge();
    return result + buffer[size / 2];
}

static NOINLINE void load_later(void)
{
    puts("loading");
    fflush(stdout);
    getchar();
    void *library = dlopen(getenv("LATER"), RTLD_NOW);
    int (*call)(int (*)(int), int) = (int (*)(int (*)(int), int))dlsym(library, "call_later");
    sink += call(recurse, depth);
}

static void *thread(void *argument)
{
    if (*mode == 'l')
        load_later();
    else if (*mode == 'd')
        sink += recurse(depth);
    else
        sink += variable(200 + (int)(sink & 1));
    return argument;
}

int main(int count, char **values)
{
    mode = count > 1 ? values[1] : "user";
    depth = count > 2 ? atoi(values[2]) : 20;
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_other_signal);
    if (strchr(mode, 'm')) {
        thread(0);
        return 0;
    }
    pthread_t other;
    pthread_create(&other, 0, thread, 0);
    pthread_join(other, 0);
    return 0;
}
