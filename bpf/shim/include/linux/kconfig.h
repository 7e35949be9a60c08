/* Header shim: what BCC's helpers.h asks of a kernel tree, so that no kernel headers are needed.
 * BCC takes a directory for a kernel tree when include/linux/kconfig.h is there, compiles from
 * inside it with -Iinclude -Iinclude/uapi, and includes this file first.
 * x86-64 only. Our programs read no kernel structure, so nothing here depends on a kernel's version.
 */
#pragma once

#define CONFIG_64BIT                    1
#define CONFIG_X86_64                   1
#define CONFIG_BPF_SYSCALL              1
#define CONFIG_ARCH_HAS_SYSCALL_WRAPPER 1
