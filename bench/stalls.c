/* SPDX-License-Identifier: MIT
 *
 * Calls a function for some seconds and says how long the longest call of each was held up, without
 * the time in which the thread waited for a CPU. Prints one line for each stall above 0.2 ms:
 * when it ended (CLOCK_MONOTONIC, ns) and how long it was (ns).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LONG_NS 200000

static long long now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Nanoseconds that this thread was runnable without a CPU, so far. */
static long long waited_ns(int schedstat)
{
    char text[128] = "";
    long long ran = 0, waited = 0;

    if (pread(schedstat, text, sizeof(text) - 1, 0) > 0)
        sscanf(text, "%lld %lld", &ran, &waited);
    return waited;
}

#define FUNCTION(name)                                          \
    __attribute__((noinline)) long long name(long long value)   \
    {                                                           \
        __asm__ volatile("push %%rbx; pop %%rbx" ::: "memory"); \
        return value + 1;                                       \
    }

FUNCTION(probed0)
FUNCTION(probed1)
FUNCTION(probed2)
FUNCTION(probed3)
FUNCTION(probed4)
FUNCTION(probed5)
FUNCTION(probed6)
FUNCTION(probed7)
FUNCTION(probed8)
FUNCTION(probed9)

/* As many places as a lookup has probes. */
static long long call_all(long long value)
{
    value = probed4(probed3(probed2(probed1(probed0(value)))));
    return probed9(probed8(probed7(probed6(probed5(value)))));
}

int main(int argc, char **argv)
{
    int schedstat = open("/proc/thread-self/schedstat", O_RDONLY);
    long long seconds = argc > 1 ? atoll(argv[1]) : 1;
    long long end = now_ns() + seconds * 1000000000LL, before = now_ns(), value = 0;
    long long waited = waited_ns(schedstat), checked = before;

    puts("ready");
    fflush(stdout);
    while (before < end) {
        long long now, stall;

        value = call_all(value);
        now = now_ns();
        stall = now - before;
        if (stall > LONG_NS || now - checked > 5000000) {
            long long total = waited_ns(schedstat);

            if (stall > LONG_NS && stall - (total - waited) > LONG_NS)
                printf("%lld %lld\n", now, stall - (total - waited));
            waited = total;
            now = checked = now_ns();
        }
        before = now;
    }
    return value == 0;
}
