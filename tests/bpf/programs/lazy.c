/* Calls a library function again and again that the dynamic linker has to find each time, because
 * its slot is put back; spins so below callers that use every register that calls preserve.
 * Argument: with "signal", a signal's handler interrupts that and calls it too. */
#define _GNU_SOURCE
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile unsigned long sink;
static Elf64_Addr *slot, unbound; /* of a64l, and what is in it before its first call */

static void find_slot(void)
{
    const Elf64_Rela *entry = 0;
    const Elf64_Sym *symbols = 0;
    const char *names = 0;
    size_t bytes = 0;
    for (const Elf64_Dyn *one = _DYNAMIC; one->d_tag != DT_NULL; one++) {
        if (one->d_tag == DT_JMPREL)
            entry = (const Elf64_Rela *)one->d_un.d_ptr;
        else if (one->d_tag == DT_PLTRELSZ)
            bytes = one->d_un.d_val;
        else if (one->d_tag == DT_SYMTAB)
            symbols = (const Elf64_Sym *)one->d_un.d_ptr;
        else if (one->d_tag == DT_STRTAB)
            names = (const char *)one->d_un.d_ptr;
    }
    for (size_t i = 0; i < bytes / sizeof(*entry); i++)
        if (!strcmp(names + symbols[ELF64_R_SYM(entry[i].r_info)].st_name, "a64l"))
            slot = (Elf64_Addr *)(_r_debug.r_map->l_addr + entry[i].r_offset);
    if (!slot)
        exit(1);
    unbound = *slot;
}

static NOINLINE void leaf(int times)
{
    while (times-- > 0) {
        *slot = unbound;
        __asm__ volatile("" ::: "memory");
        sink += a64l("x");
    }
}

static long used_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* Takes half of the time until the next signal: it is met often, and ever new places are interrupted. */
static void on_signal(int number)
{
    long end = used_ms() + 10;
    sink += number;
    while (used_ms() < end)
        leaf(100);
}

/* Values that live across the call, so that all registers which calls preserve are in use. */
static NOINLINE void busy(unsigned long a, unsigned long b, unsigned long c)
{
    unsigned long d = a ^ b, e = b ^ c, f = a ^ c;
    for (;;) {
        leaf(1000);
        a += b;
        b ^= c;
        c += d;
        d ^= e;
        e += f;
        f ^= a;
        sink += f;
    }
}

int main(int count, char **values)
{
    find_slot();
    if (count > 1 && !strcmp(values[1], "signal")) {
        struct itimerval often = {{0, 20000}, {0, 20000}};
        signal(SIGPROF, on_signal);
        setitimer(ITIMER_PROF, &often, 0);
    }
    puts("ready");
    fflush(stdout);
    busy(sink + 1, sink + 2, sink + 3);
}
