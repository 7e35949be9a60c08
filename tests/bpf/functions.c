/*
 * Functions of many shapes; each counts its own calls, and the whole prints a checksum, so that a
 * probe that changes what is computed, or that does not fire once per call, shows.
 */
#include <alloca.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNTED __attribute__((noinline, noclone))

enum {
    LEAF,
    LOOP,
    SWITCH,
    RECURSE,
    TAIL,
    MANY,
    VARIABLE,
    DYNAMIC,
    RETRY,
    GOTO,
    REDZONE,
    NULLCHECK,
    FLOATS,
    BIG,
    FUNCTIONS
};
static unsigned long calls[FUNCTIONS];
static unsigned long sum;

COUNTED long leaf(long a)
{
    calls[LEAF]++;
    return a * 3 + 1;
}

COUNTED long loop(long n)
{
    calls[LOOP]++;
    do {
        sum += n * n;
    } while (n-- > 0);
    return (long)sum;
}

COUNTED long selected(long a, long b)
{
    calls[SWITCH]++;
    switch (a % 9) {
    case 0:
        return b + 1;
    case 1:
        return b * 3;
    case 2:
        return leaf(b);
    case 3:
        return b - 77;
    case 4:
        return b << 3;
    case 5:
        return -b;
    case 6:
        return b ^ 0x55;
    case 7:
        return leaf(b + 1) + leaf(b);
    default:
        return a - b;
    }
}

COUNTED long recurse(long n)
{
    calls[RECURSE]++;
    return n < 2 ? n : leaf(recurse(n - 1) ^ recurse(n - 2));
}

COUNTED long tail(long n, long a)
{
    calls[TAIL]++;
    if (n == 0) {
        return leaf(a);
    }
    return selected(n, a);
}

COUNTED long many(long a, long b, long c, long d, long e, long f, long g, long h, long i)
{
    calls[MANY]++;
    return leaf(a + b) + c * d - e * f + g * h + i;
}

COUNTED long variable(int n, ...)
{
    long total = 0;
    va_list list;
    calls[VARIABLE]++;
    va_start(list, n);
    while (n-- > 0) {
        total += va_arg(list, int);
    }
    va_end(list);
    return total;
}

COUNTED long dynamic(long n)
{
    char *room = alloca((size_t)(n & 255) + 1);
    calls[DYNAMIC]++;
    memset(room, (int)n, (size_t)(n & 255) + 1);
    return room[n & 255] + leaf(n);
}

COUNTED long retry(long n)
{
again:
    if (__builtin_expect(n < 0, 0)) {
        n = leaf(-n) & 1023;
        calls[RETRY] += n < 0;
        goto again;
    }
    calls[RETRY]++;
    return n;
}

/* Comes back to the straight line from its entry by a jump whose target no instruction names. */
COUNTED long computed(long n)
{
    static const void *const where[] = {&&done, &&again};
    long total = 0;
    calls[GOTO]++;
again:
    total += n;
    if (total & 2) {
        total = leaf(total);
    }
    goto *where[--n > 0];
done:
    return total;
}

COUNTED long nullcheck(const long *p, long a)
{
    if (!p) {
        calls[NULLCHECK]++;
        return 0;
    }
    calls[NULLCHECK]++;
    return leaf(*p) + a;
}

COUNTED double floats(double a, double b, float c)
{
    calls[FLOATS]++;
    return a * b + c * 2.0f;
}

struct big {
    long values[24];
};

COUNTED struct big whole(struct big b, long n)
{
    calls[BIG]++;
    b.values[n & 15] += n;
    return b;
}

/* A value in the red zone lives across five bytes that Linux 6.18 would turn into a call. */
long redzone(long);
__asm__(".text\n.globl redzone\n.type redzone,@function\n.p2align 4\nredzone:\n.cfi_startproc\n"
        "incq counted(%rip)\n mov %rdi,-8(%rsp)\n .byte 0x0f,0x1f,0x44,0x00,0x00\n"
        "mov -8(%rsp),%rax\n ret\n.cfi_endproc\n.size redzone,.-redzone\n"
        ".local counted\n.comm counted,8,8\n.globl counted_at\n.hidden counted_at\n"
        ".section .data\n.p2align 3\ncounted_at: .quad counted\n.text\n");
extern unsigned long *counted_at;

int main(void)
{
    static const char *const names[FUNCTIONS] = {
        "leaf",    "loop",  "selected", "recurse", "tail",      "many",   "variable",
        "dynamic", "retry", "computed", "redzone", "nullcheck", "floats", "whole"};
    struct big b = {{0}};
    long n, p = 7;
    int i;

    if (getchar() != 'g') {
        return 1;
    }
    for (n = 0; n < 997; n++) {
        sum += (unsigned long)selected(n, p) + (unsigned long)loop(n & 7);
        sum += (unsigned long)tail(n % 5, n) + (unsigned long)dynamic(n);
        sum += (unsigned long)many(n, 1, 2, 3, 4, 5, 6, 7, n) + (unsigned long)retry(n - 100);
        sum += (unsigned long)variable(4, 1, 2, 3, (int)n) + (unsigned long)computed(n & 15);
        sum += (unsigned long)nullcheck(n & 1 ? &p : NULL, n);
        sum += (unsigned long)floats((double)n, 1.5, 2.5f);
        sum += (unsigned long)(redzone(n) == n ? 1 : 1000000);
        b = whole(b, n);
        sum += (unsigned long)b.values[n & 15];
    }
    sum += (unsigned long)recurse(13);
    calls[REDZONE] = *counted_at;
    for (i = 0; i < FUNCTIONS; i++) {
        printf("%s %lu\n", names[i], calls[i]);
    }
    printf("sum %lu\n", sum);
    return 0;
}
