"""ELF files, symbols, debug files, call frame information and x86-64 code."""
