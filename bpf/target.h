/* What is known only when the programs are loaded, so that they are compiled once for all targets. */
#pragma once

/* A map with this many entries gets its real number when it is made. */
#define SIZED 1

/* The target's process id in the initial pid namespace: a placeholder, which becomes the number
 * (profiler/linux/compiled.py). */
static u32 (*const target_tgid)(void) = (void *)0x7e000010;

/* Offset of the start routine in the struct pthread of the target's glibc: a placeholder, too. */
static u32 (*const start_routine_offset)(void) = (void *)0x7e000011;
