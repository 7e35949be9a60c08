"""x86-64 instructions, decoded."""
