/* BCC's helpers.h only asks whether the kernel is old; features are found by trying, never by this. */
#pragma once

#define KERNEL_VERSION(major, minor, patch) \
    (((major) << 16) + ((minor) << 8) + ((patch) > 255 ? 255 : (patch)))
#define LINUX_VERSION_CODE KERNEL_VERSION(5, 8, 0)
