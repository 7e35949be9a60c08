/*
 * Calls a function that keeps a value at the top of its stack, and says how often it was another:
 * a thousand calls for each line that is read.
 */
#include <stdio.h>

long probed(void);

__asm__(".globl probed, inner\n"
        "probed:\n"
        "    push %rbx\n"
        "    sub $16, %rsp\n"
        "    movq $0x1234, (%rsp)\n"
        "inner:\n" /* here the value is at rsp */
        "    push %rbx\n"
        "    pop %rbx\n"
        "    mov (%rsp), %rax\n"
        "    add $16, %rsp\n"
        "    pop %rbx\n"
        "    ret\n");

int main(void)
{
    int i, wrong;

    while (getchar() != EOF) {
        for (i = wrong = 0; i < 1000; i++) {
            wrong += probed() != 0x1234;
        }
        printf("%d\n", wrong);
        fflush(stdout);
    }
    return 0;
}
