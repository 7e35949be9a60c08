/*
 * Runs a program one instruction at a time and compares rules with the calls that it executed.
 *
 * stepper PATH FILE STEPS PROGRAM: reads lines "start end register offset slot rbp" from FILE, rules
 * of code in PATH at addresses inside that file. CFA = register + offset; the return address must
 * be at CFA + slot; rbp: k, kept; s N, saved at CFA + N; u, unknown. A slot of 1000 + n: in register
 * n. Lines may overlap; the last one holds. Prints "right N without N" and a line for each wrong
 * rule. Skips the first instructions until the program raises SIGUSR1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long long u64;
struct rule {
    int cfa, offset, slot, rbp;
    char rbp_kind; /* 0: no rule */
};
struct call {
    u64 slot, back, rbp;
};

static struct rule *rules;
static u64 code_bytes = 4 << 20, base, calls_kept, right, without;
static struct call calls[100000];

static u64 value(struct user_regs_struct *r, int number)
{
    u64 values[] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp,
                    r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};
    return values[number];
}

static int is_call(const unsigned char *code)
{
    while (*code == 0x66 || *code == 0xf2 || *code == 0x3e || (*code & 0xf0) == 0x40)
        code++;
    return *code == 0xe8 || (*code == 0xff && (code[1] >> 3 & 7) == 2);
}

static int is_pop(const unsigned char *code)
{
    return (code[*code == 0x41] & 0xf8) == 0x58;
}

static void check(pid_t pid, struct user_regs_struct *r)
{
    u64 at = r->rip - base;
    if (at >= code_bytes || !calls_kept)
        return;
    struct rule *rule = &rules[at];
    struct call *call = &calls[calls_kept - 1];
    if (!rule->rbp_kind) {
        without++;
        return;
    }
    u64 cfa = value(r, rule->cfa) + rule->offset, back = 0, rbp = call->rbp;
    if (rule->slot >= 1000)
        back = value(r, rule->slot - 1000);
    else
        back = ptrace(PTRACE_PEEKDATA, pid, cfa + rule->slot, 0);
    if (rule->rbp_kind == 'k')
        rbp = r->rbp;
    if (rule->rbp_kind == 's')
        rbp = ptrace(PTRACE_PEEKDATA, pid, cfa + rule->rbp, 0);
    if (cfa == call->slot + 8 && back == call->back && rbp == call->rbp)
        right++;
    else
        printf("wrong %llx: cfa %lld, back %llx not %llx, rbp %llx not %llx\n", at,
               cfa - call->slot - 8, back, call->back, rbp, call->rbp);
}

static void follow(pid_t pid, struct user_regs_struct *before, struct user_regs_struct *now)
{
    u64 words[2] = {ptrace(PTRACE_PEEKTEXT, pid, before->rip, 0),
                    ptrace(PTRACE_PEEKTEXT, pid, before->rip + 8, 0)};
    if (is_call((unsigned char *)words) && now->rsp == before->rsp - 8 && calls_kept < 100000) {
        u64 back = ptrace(PTRACE_PEEKDATA, pid, now->rsp, 0);
        calls[calls_kept++] = (struct call){now->rsp, back, before->rbp};
        return;
    }
    /* A call is over when its return address is off the stack, by a return or by longjmp. Who pops
     * it, as vfork does, still has to return. */
    u64 popped = is_pop((unsigned char *)words) ? 8 : 0;
    while (calls_kept && now->rsp > calls[calls_kept - 1].slot + popped)
        calls_kept--;
}

static void read_rules(const char *name)
{
    FILE *file = fopen(name, "r");
    u64 start, end;
    struct rule one;
    rules = calloc(code_bytes, sizeof(*rules));
    while (fscanf(file, "%llx %llx %d %d %d %c %d", &start, &end, &one.cfa, &one.offset, &one.slot,
                  &one.rbp_kind, &one.rbp) == 7)
        for (u64 at = start; at < end && at < code_bytes; at++)
            rules[at] = one;
    fclose(file);
}

static u64 find_base(pid_t pid, const char *path)
{
    char name[64], line[600];
    sprintf(name, "/proc/%d/maps", pid);
    FILE *file = fopen(name, "r");
    u64 found = 0;
    while (!found && fgets(line, sizeof(line), file))
        if (strstr(line, path))
            found = strtoull(line, NULL, 16);
    fclose(file);
    return found;
}

int main(int argc, char **argv)
{
    int status;
    struct user_regs_struct before, now;
    read_rules(argv[2]);
    pid_t pid = fork();
    if (!pid) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[4], argv + 4);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    do {
        ptrace(PTRACE_CONT, pid, 0, 0);
        waitpid(pid, &status, 0);
    } while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGUSR1);
    base = find_base(pid, argv[1]);
    ptrace(PTRACE_GETREGS, pid, 0, &before);
    for (long left = atol(argv[3]); left && WIFSTOPPED(status); left--) {
        if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) < 0)
            break;
        if (ptrace(PTRACE_GETREGS, pid, 0, &now))
            break;
        follow(pid, &before, &now);
        check(pid, &now);
        before = now;
    }
    printf("right %llu without %llu\n", right, without);
    kill(pid, SIGKILL);
    return 0;
}
