"""What crosses the kernel's boundary, as bytes: mirrors of bpf/*wire.h."""
