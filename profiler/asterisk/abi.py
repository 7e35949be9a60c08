"""What Asterisk means by its numbers: entry functions, search flags, container kinds.

Sources: include/asterisk/astobj2.h and main/astobj2_*.c, Asterisk 13 to 22, all the same here.
"""

from __future__ import annotations

# In the order of enum entry_function in bpf/wire.h.
ENTRY_FUNCTIONS = (
    "__ao2_find",
    "__ao2_callback",
    "__ao2_callback_data",
    "__ao2_unlink",
    "__ao2_weakproxy_find",
)

# struct __priv_data, before the pointer that the API hands out: 28 bits of magic, 4 of options.
MAGIC_OFFSET = -4
MAGIC = 0xA70B123
