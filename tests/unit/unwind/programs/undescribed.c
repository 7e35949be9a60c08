/* What compilers make of functions, for builds without call frame information. */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#define NOINLINE __attribute__((noinline))

static volatile int sink;
static jmp_buf place;

NOINLINE static int sum(int count, ...)
{
    va_list list;
    int all = 0;
    va_start(list, count);
    while (count--)
        all += va_arg(list, int);
    va_end(list);
    return all;
}

NOINLINE static int aligned(int seed)
{
    char buffer[100] __attribute__((aligned(64)));
    memset(buffer, seed, sizeof(buffer));
    return sum(3, buffer[seed], seed, sink) + buffer[99];
}

NOINLINE static int sized(int size)
{
    char *memory = alloca(size * 16);
    memset(memory, size, size * 16);
    return aligned(size) + memory[size];
}

static int compare(const void *one, const void *other)
{
    return *(const int *)one - *(const int *)other;
}

NOINLINE static void fail(int code)
{
    sink = code;
    longjmp(place, code);
}

NOINLINE static int chosen(int number, int other)
{
    switch (number) {
    case 0:
        return sized(3) + other;
    case 1:
        sink += aligned(other);
        break;
    case 2:
        return sum(5, 1, 2, 3, number, other) * 7;
    case 3:
        sink = number * other;
        return aligned(1) - other;
    case 4:
        if (other > 1000)
            abort();
        break;
    case 5:
        return sink ^ other;
    case 6:
        fail(other);
    default:
        sink--;
    }
    return number;
}

NOINLINE static int deep(int number)
{
    return number ? deep(number - 1) * 3 + chosen(number % 6, number) : 1;
}

int main(void)
{
    raise(SIGUSR1);
    for (int round = 0;; round++) {
        int values[] = {round, 3, 9, 1, 7, round * 3, 2, 5};
        qsort(values, 8, sizeof(int), compare);
        sink += deep(9) + values[3];
        if (!setjmp(place))
            chosen(6, round + 1);
    }
}
