"""The kernel's side: BCC, bpf(2), perf events, BTF, links and their keeper, CPUs."""
