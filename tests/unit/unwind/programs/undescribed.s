# Functions as hand-written assembly has them, without call frame information. Each is called in turn.
.text
.macro FUNCTION name
.type \name, @function
.p2align 4
\name:
.endm

FUNCTION pushes
	push %rbx
	push %r12
	push %rbp
	sub $0x48, %rsp
	lea decoy(%rip), %rax
	mov %rax, (%rsp)
	mov %rax, 8(%rsp)
	mov $5, %ebp
1:	mov %rbp, 16(%rsp)
	mov 16(%rsp), %rbx
	dec %ebp
	jnz 1b
	add $0x48, %rsp
	pop %rbp
	pop %r12
	pop %rbx
	ret
.size pushes, .-pushes

FUNCTION decoy
	nop
	ret
.size decoy, .-decoy

FUNCTION leaf
	mov $5, %eax
1:	imul %rax, %rdx
	dec %eax
	jnz 1b
	ret
.size leaf, .-leaf

FUNCTION realigns
	push %rbp
	mov %rsp, %rbp
	and $-64, %rsp
	sub $0x140, %rsp
	mov $5, %eax
1:	mov %rax, (%rsp)
	dec %eax
	jnz 1b
	call leaf
	leave
	ret
.size realigns, .-realigns

# Saves without pushes, and leaves on two ways; one of them is a tail call.
FUNCTION moves
	sub $24, %rsp
	mov %rbx, 8(%rsp)
	mov %rbp, 16(%rsp)
	xor %ebx, %ebx
	xor %ebp, %ebp
	cmp $2, %edi
	ja 1f
	mov 8(%rsp), %rbx
	mov 16(%rsp), %rbp
	add $24, %rsp
	jmp leaf
1:	call never
	.p2align 4
# Nothing calls it but through a pointer, and what comes before does not come back.
.type pointed, @function
pointed:
	push %rdi
	pop %rax
	ret

FUNCTION never
	cmp $9, %edi
	jne 2f
1:	jmp 1b
2:	mov -8(%rsp), %rax
	add $8, %rsp
	mov 8(%rsp), %rbx
	mov 16(%rsp), %rbp
	add $24, %rsp
	ret

# Its return address is in a register for a while, as vfork's.
FUNCTION pops
	pop %rdx
	xor %eax, %eax
	push %rdx
	ret
.size pops, .-pops

# Goes to one of its cases by a table of distances.
FUNCTION switches
	push %rbx
	mov %edi, %ebx
	cmp $3, %edi
	ja 9f
	lea cases(%rip), %rdx
	mov %edi, %eax
	movslq (%rdx,%rax,4), %rax
	add %rdx, %rax
	jmp *%rax
5:	push %rdi
	call leaf
	pop %rdi
	jmp 9f
6:	sub $16, %rsp
	mov %rdi, (%rsp)
	add $16, %rsp
9:	mov %ebx, %eax
	pop %rbx
	ret
.size switches, .-switches
.section .rodata
cases:	.long 5b - cases, 6b - cases, 9b - cases, 5b - cases
.text

.globl main
.type main, @function
main:
.cfi_startproc
	push %rbx
	.cfi_adjust_cfa_offset 8
	call getpid@PLT
	mov %eax, %edi
	mov $10, %esi
	call kill@PLT
1:	xor %ebx, %ebx
2:	call pushes
	call leaf
	call realigns
	mov %ebx, %edi
	call moves
	lea pointed(%rip), %rax
	call *%rax
	call pops
	mov %ebx, %edi
	call switches
	inc %ebx
	cmp $5, %ebx
	jne 2b
	jmp 1b
.cfi_endproc
.size main, .-main
.section .note.GNU-stack, "", @progbits
