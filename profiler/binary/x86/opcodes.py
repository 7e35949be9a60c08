"""The x86-64 opcode maps as text tables; x86_forms.py reads them.

Source: Intel SDM volume 2, appendix A (opcode maps) and the instruction pages; AMD APM volume 3 for
XOP, SSE4a and 3DNow. A row is `KEY MNEMONIC [OPERANDS] [!IMPLICIT]`:

- KEY: optional mandatory prefix (`66.`, `F2.`, `F3.`), opcode or range of opcodes, optional `/n`
  for the ModRM.reg field (also a range), optional `r` or `m` for its register or memory form.
- OPERANDS, destination first, with a size letter (b 1, w 2, d 4, q 8 bytes; v 2, 4 or 8 by
  prefixes; z as v but at most 4; y 4 or 8 by REX.W; s 8 or 2, of stack operations): E general
  register or memory, G general register, R general register in the r/m field whatever ModRM.mod
  says, M memory, Z register in the opcode, A accumulator, I immediate, S sign-extended byte,
  J relative target, O memory at an absolute address; V a vector, control or segment register,
  W the same or memory.
- `!` lists the registers written besides a destination (`!ax,dx`), `!-` says that the first operand
  is only read, `!+` that the second one is written too, `!*` that a repeat prefix writes rcx, `!?`
  that what is written is not known here.
"""

from __future__ import annotations

CONDITIONS = (
    "o",
    "no",
    "b",
    "ae",
    "e",
    "ne",
    "be",
    "a",
    "s",
    "ns",
    "p",
    "np",
    "l",
    "ge",
    "le",
    "g",
)
_ARITHMETIC = ("add", "or", "adc", "sbb", "and", "sub", "xor", "cmp")

ONE_BYTE_ROWS = """
50-57 push Zs !-,sp
58-5F pop Zs !sp
63 movslq Gv,Ed
68 push Iz !-,sp
69 imul Gv,Ev,Iz
6A push S !-,sp
6B imul Gv,Ev,S
6C-6D ins !di,*
6E-6F outs !si,*
84 test Eb,Gb !-
85 test Ev,Gv !-
86 xchg Eb,Gb !+
87 xchg Ev,Gv !+
88 mov Eb,Gb
89 mov Ev,Gv
8A mov Gb,Eb
8B mov Gv,Ev
8C mov Ev,V
8D/0-7m lea Gv,Mv
8E mov V,Ew !-
8F/0 pop Es !sp
90-97 xchg Zv,A !+
98 cltq !ax
99 cqto !dx
9B fwait
9C pushf !sp
9D popf !sp
9E sahf
9F lahf !ax
A0 mov A,O !ax
A1 mov A,O !ax
A2-A3 mov O,A !-
A4-A5 movs !si,di,*
A6-A7 cmps !si,di,*
A8 test A,Ib !-
A9 test A,Iz !-
AA-AB stos !di,*
AC-AD lods !ax,si,*
AE-AF scas !di,*
B0-B7 mov Zb,Ib
B8-BF mov Zv,Iv
C0/0-7 shift Eb,Ib
C1/0-7 shift Ev,Ib
C2 ret Iw !-,sp
C3 ret !sp
C6/0 mov Eb,Ib
C7/0 mov Ev,Iz
C6/7r xabort Ib !ax,-
C7/7r xbegin Jz !ax,-
C8 enter Iw,Ib !-,sp,bp
C9 leave !sp,bp
CA lret Iw !-,sp
CB lret !sp
CC int3 !?
CD int Ib !?
CF iret !?
D0/0-7 shift Eb
D1/0-7 shift Ev
D2/0-7 shift Eb
D3/0-7 shift Ev
D7 xlat !ax
D8-DF/0-7 fpu V,W !-
DF/4r fnstsw V,W !ax
E0 loopne Jb !-,cx
E1 loope Jb !-,cx
E2 loop Jb !-,cx
E3 jrcxz Jb !-
E4-E5 in A,Ib !ax
E6-E7 out Ib,A !-
E8 call Jz !-,sp
E9 jmp Jz !-
EB jmp Jb !-
EC-ED in !ax
EE-EF out
F1 int1 !?
F4 hlt !?
F5 cmc
F6/0-1 test Eb,Ib !-
F7/0-1 test Ev,Iz !-
F6/2 not Eb
F7/2 not Ev
F6/3 neg Eb
F7/3 neg Ev
F6/4 mul Eb !-,ax
F7/4 mul Ev !-,ax,dx
F6/5 imul Eb !-,ax
F7/5 imul Ev !-,ax,dx
F6/6 div Eb !-,ax
F7/6 div Ev !-,ax,dx
F6/7 idiv Eb !-,ax
F7/7 idiv Ev !-,ax,dx
F8-FB flag
FC cld
FD std
FE/0 inc Eb
FE/1 dec Eb
FF/0 inc Ev
FF/1 dec Ev
FF/2 call Eq !-,sp
FF/3m lcall Ev !?
FF/4 jmp Eq !-
FF/5m ljmp Ev !?
FF/6 push Es !-,sp
"""

ROWS_0F = """
00/0 sldt Ev
00/1 str Ev
00/2-5 system Ew !-
01/0-3m system M !-
01/0-7r system V !?
01/4 smsw Ev
01/5m system M !?
01/6 lmsw Ew !-
01/7m invlpg M !-
02 lar Gv,Ew
03 lsl Gv,Ew
05 syscall !?
06 clts
07 sysret !?
08-09 system
0B ud2 !?
0D/0-7 prefetch M !-
0E femms
0F 3dnow V,W,Ib !-
10-11 sse V,W !-
12-17 sse V,W !-
18/0-7 hint Ev !-
19-1D/0-7 hint Ev !-
1E/0-7 hint Ev !-
F3.1E/1r rdssp Ey
F3.1E/7r endbr W !-
1F/0-7 nop Ev !-
20-21 mov Rq,V
22-23 mov V,Rq !-
28-29 sse V,W !-
2A sse V,Ey !-
66.2A sse V,W !-
2B sse W,V !-
2C-2D sse V,W !-
F2.2C-2D cvt Gy,W
F3.2C-2D cvt Gy,W
2E-2F sse V,W !-
30 wrmsr
31 rdtsc !ax,dx
32 rdmsr !ax,dx
33 rdpmc !ax,dx
34 sysenter !?
35 sysexit !?
37 getsec !?
50 movmskps Gd,W
51-6F sse V,W !-
6E sse V,Ey !-
70 sse V,W,Ib !-
71-73/0-7 sse W,Ib !-
74-76 sse V,W !-
77 emms
78 vmread Eq,Gq
79 vmwrite Gq,Eq !-
66.78/0r extrq W,Iw !-
66.79 extrq V,W !-
F2.78 insertq V,W,Iw !-
F2.79 insertq V,W !-
7C-7D sse V,W !-
7E mov Ey,V
F3.7E sse V,W !-
7F sse W,V !-
A0 push !sp
A1 pop !sp
A2 cpuid !ax,bx,cx,dx
A3 bt Ev,Gv !-
A4 shld Ev,Gv,Ib
A5 shld Ev,Gv
A6-A7/0-7 padlock V !?
A8 push !sp
A9 pop !sp
AA rsm !?
AB bts Ev,Gv
AC shrd Ev,Gv,Ib
AD shrd Ev,Gv
AE/0-7m state M !-
AE/0-7r fence V !?
AE/5-7r fence V !-
F3.AE/0-1r rdbase Ey
F3.AE/2-3r wrbase Ey !-
AF imul Gv,Ev
B0 cmpxchg Eb,Gb !ax
B1 cmpxchg Ev,Gv !ax
B2 lss Gv,M
B3 btr Ev,Gv
B4 lfs Gv,M
B5 lgs Gv,M
B6 movzb Gv,Eb
B7 movzw Gv,Ew
F3.B8 popcnt Gv,Ev
B9/0-7 ud1 V,W !?
BA/4 bt Ev,Ib !-
BA/5 bts Ev,Ib
BA/6 btr Ev,Ib
BA/7 btc Ev,Ib
BB btc Ev,Gv
BC bsf Gv,Ev
BD bsr Gv,Ev
BE movsb Gv,Eb
BF movsw Gv,Ew
C0 xadd Eb,Gb !+
C1 xadd Ev,Gv !+
C2 sse V,W,Ib !-
C3/0-7m movnti Mv,Gv !-
C4 sse V,W,Ib !-
C5 pextrw Gd,W,Ib
C6 sse V,W,Ib !-
C7/1m cmpxchg8b M !-,ax,dx
C7/2-7m state M !-
C7/6-7r rdrand Ev
F3.C7/6r senduipi Eq !-
F3.C7/7r rdpid Eq
C8-CF bswap Zv
D0-FE sse V,W !-
D7 pmovmskb Gd,W
FF ud0 V,W !?
"""

ROWS_38 = """
00-0B sse V,W !-
10 sse V,W !-
14-15 sse V,W !-
17 sse V,W !-
1C-1E sse V,W !-
20-25 sse V,W !-
28-2B sse V,W !-
30-41 sse V,W !-
80-82 system V,M !-
C8-CF sse V,W !-
D8-DF sse V,W !-
F0 movbe Gv,Mv
F1 movbe Mv,Gv !-
F2.F0 crc32 Gy,Eb
F2.F1 crc32 Gy,Ev
F6 wrss My,Gy !-
66.F6 adcx Gy,Ey
F3.F6 adox Gy,Ey
F9 movdiri My,Gy !-
"""

ROWS_3A = """
08-0F sse V,W,Ib !-
14 pextrb Ed,V,Ib
15 pextrw Ed,V,Ib
16 pextr Ey,V,Ib
17 extractps Ed,V,Ib
20 sse V,Ed,Ib !-
21 sse V,W,Ib !-
22 sse V,Ey,Ib !-
40-44 sse V,W,Ib !-
60 pcmpestrm V,W,Ib !-
61 pcmpestri V,W,Ib !-,cx
62 pcmpistrm V,W,Ib !-
63 pcmpistri V,W,Ib !-,cx
CC sse V,W,Ib !-
CE-CF sse V,W,Ib !-
DF sse V,W,Ib !-
"""


def generated_rows() -> str:
    """Return the regular parts: arithmetic and conditions; keys of the 0F map start with `0F.`."""
    rows = []
    for n, name in enumerate(_ARITHMETIC):
        note = " !-" if name == "cmp" else ""
        accumulator = " !-" if name == "cmp" else " !ax"
        for offset, operands in enumerate(("Eb,Gb", "Ev,Gv", "Gb,Eb", "Gv,Ev")):
            rows.append(f"{8 * n + offset:02X} {name} {operands}{note}")
        rows.append(f"{8 * n + 4:02X} {name} A,Ib{accumulator}")
        rows.append(f"{8 * n + 5:02X} {name} A,Iz{accumulator}")
        rows.append(f"80/{n} {name} Eb,Ib{note}")
        rows.append(f"81/{n} {name} Ev,Iz{note}")
        rows.append(f"83/{n} {name} Ev,S{note}")
    for n, condition in enumerate(CONDITIONS):
        rows.append(f"{0x70 + n:02X} j{condition} Jb !-")
        rows.append(f"0F.{0x80 + n:02X} j{condition} Jz !-")
        rows.append(f"0F.{0x40 + n:02X} cmov{condition} Gv,Ev")
        rows.append(f"0F.{0x90 + n:02X}/0-7 set{condition} Eb")
    return "\n".join(rows)
