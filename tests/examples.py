"""Profiles and a recording with made-up, plausible numbers, for the tests of all outputs."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

from profiler.model import profile as p
from profiler.model import recording as r
from profiler.report import distributions
from profiler.report.findings import find

SECOND_NS = 1_000_000_000
START_NS = 7_200 * SECOND_NS

FIELD_STACK = (
    "__clone3",
    "start_thread",
    "dummy_start",
    "do_monitor",
    "~sipsock_read",
    "handle_request_do",
    "handle_incoming",
    "~handle_request_register",
    "~register_verify",
    "sip_find_peer",
    "~realtime_peer",
    "~build_peer",
    "ast_endpoint_create",
    "ast_sip_create_serializer",
    "ast_threadpool_serializer",
    "ast_taskprocessor_create_with_listener",
    "__ao2_find",
    "internal_ao2_traverse",
)


def quantiles(values: dict[tuple[int, int], int], total: int | None = None) -> p.Quantiles:
    """Build a distribution from {(low, high): count}."""
    slots = tuple((low, high, count) for (low, high), count in sorted(values.items()))
    if total is None:
        total = sum((low + high - 1) * count // 2 for low, high, count in slots)
    largest = slots[-1][1] - 1 if slots else None
    return distributions.quantiles(r.Distribution(sum(values.values()), total, largest, slots))


NOTHING = quantiles({})


def target(**changes: object) -> r.Target:
    known = r.Target(
        pid=4711,
        exe="/usr/sbin/asterisk",
        build_id="5c3fd1a7e0b94be0a5f1ee5d2f8a1b7c90de4421",
        version="16.28.0",
        command_line=("/usr/sbin/asterisk", "-f", "-U", "asterisk"),
        container_id=None,
        exited=False,
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def empty() -> p.Profile:
    """A run that saw nothing: no sample, no lookup, no budget."""
    return p.Profile(
        schema=p.SCHEMA,
        tool_version="0.1.0",
        command=("ebpf-prof", "asterisk", "--duration", "10"),
        started_at="2026-11-24T05:43:10Z",
        target=target(build_id=None, version=None),
        window=r.Window(START_NS, START_NS + 10 * SECOND_NS),
        stopped_by="duration",
        frequency_hz=99.0,
        cost=p.CostReport(None, 0.0, 0.0, 0.0, 0.0, 0, 1),
        sample_accounting=r.Accounting(),
        lookup_accounting=r.Accounting(),
        stack_quality=p.StackQuality(0, 0, ()),
        lookup_stack_quality=p.StackQuality(0, 0, ()),
        unnamed_frames_ratio=None,
        stacks=(),
        samples=(),
        lookup_stacks=(),
        threads=(),
        sockets=(),
        containers=(),
        probe_windows=(),
        findings=(),
        warnings=(),
    )


def field_story() -> p.Profile:
    """55,585 taskprocessors in 7 buckets, and a REGISTER storm that walks them."""
    stacks = _field_stacks()
    samples = _field_samples()
    story = replace(
        empty(),
        command=("ebpf-prof", "asterisk", "--duration", "60"),
        target=target(),
        window=r.Window(START_NS, START_NS + 60 * SECOND_NS),
        cost=p.CostReport(0.01, 0.0042, 0.0011, 0.0031, 0.031, 720, 1024),
        sample_accounting=r.Accounting(len(samples) + 3, len(samples), 1, 2, 0, 0),
        lookup_accounting=r.Accounting(41_530, 41_214, 280, 22, 0, 14),
        stack_quality=p.StackQuality(len(samples), len(samples), ()),
        lookup_stack_quality=p.StackQuality(41_214, 41_213, (("unreadable stack", 1),)),
        unnamed_frames_ratio=0.021,
        stacks=stacks,
        samples=samples,
        lookup_stacks=(
            p.WeightedStack(6, 0, 20_911.0, 166_031_412.5),
            p.WeightedStack(7, 0, 2_304.0, 9_147_033.25),
            p.WeightedStack(8, 1, 17_989.0, 31_203.25),
        ),
        threads=(
            p.Thread(4733, "asterisk", "chan_sip do_monitor", 0.9789, 0.0021, 5_814),
            p.Thread(4711, "asterisk", "console and signals", 0.0153, 0.0004, 91),
            p.Thread(4720, "asterisk", None, 0.0051, None, 30),
        ),
        sockets=(
            r.Socket("0.0.0.0:5060", 212_992, 198_144.5, 1_204),
            r.Socket("127.0.0.1:38211", 0, 0.0, 0),
        ),
        containers=_field_containers(),
        probe_windows=(
            r.ProbeWindow(START_NS, START_NS + 20_000_000, 620, 2_210_000),
            r.ProbeWindow(START_NS + SECOND_NS, START_NS + SECOND_NS + 31_000_000, 840, 3_020_000),
        ),
    )
    return replace(story, findings=find(story))


def _field_stacks() -> tuple[p.NamedStack, ...]:
    kernel = (
        "entry_SYSCALL_64_after_hwframe",
        "do_syscall_64",
        "__x64_sys_recvfrom",
        "udp_recvmsg",
    )
    head = FIELD_STACK[:5]
    return (
        p.NamedStack((*FIELD_STACK, "tps_cmp_cb"), 0, None),
        p.NamedStack((*FIELD_STACK, "tps_cmp_cb", "__strcasecmp_l_avx2"), 0, None),
        p.NamedStack((*FIELD_STACK, "~hash_ao2_find_next"), 0, None),
        p.NamedStack((*head, "__libc_recvfrom", *kernel), 4, None),
        p.NamedStack(("_start", "__libc_start_main", "main", "poll"), 0, None),
        p.NamedStack(
            ("__clone3", "start_thread", "asterisk+0x1c3a40", "asterisk+0x6db40"), 0, None
        ),
        p.NamedStack(FIELD_STACK[:-1], 0, None),
        p.NamedStack((*FIELD_STACK[:10], "ast_taskprocessor_get", "__ao2_find"), 0, None),
        p.NamedStack((*FIELD_STACK[:7], "sip_find_call", "__ao2_find"), 0, None),
    )


def _field_samples() -> tuple[r.Sample, ...]:
    """5,935 samples in time order: 5,814 of the busy thread, 91 and 30 of two others."""
    pattern = (0, 1, 0, 2, 0, 0, 1, 0, 3, 0, 1)
    rows = [(4733, pattern[index % len(pattern)], index * 10_101_010) for index in range(5_814)]
    rows += [(4711, 4, index * 650_000_000) for index in range(91)]
    rows += [(4720, 5, 500 + index * 1_900_000_000) for index in range(30)]
    rows.sort(key=lambda row: (row[2], row[0]))
    return tuple(r.Sample(START_NS + at, tid, stack) for tid, stack, at in rows)


def _field_containers() -> tuple[p.ContainerUse, ...]:
    chain = quantiles(
        {
            (0, 1): 311,
            (3, 4): 5,
            (896, 1024): 804,
            (2048, 2304): 2_010,
            (3968, 4096): 4_211,
            (7680, 7936): 7_204,
            (7936, 8192): 8_670,
        },
        total=175_178_445,
    )
    times = quantiles(
        {
            (768, 1024): 316,
            (15_360, 16_384): 2_814,
            (32_768, 36_864): 4_211,
            (65_536, 73_728): 9_884,
            (98_304, 114_688): 5_979,
            (294_912, 327_680): 21,
        },
        total=1_649_000_000,
    )
    small = quantiles({(0, 1): 4_000, (1, 2): 11_989, (2, 3): 1_600, (3, 4): 400})
    small_times = quantiles({(512, 768): 12_000, (768, 1024): 5_900, (12_288, 14_336): 89})
    return (
        p.ContainerUse(
            address=0x7F3A5C0012A8,
            kind="hash",
            name="taskprocessors (tps_cmp_cb)",
            buckets=7,
            elements_start=55_585,
            elements_end=55_702,
            chain=p.Chain(7_949.1, 8_104, 8_104),
            hash_function="tps_hash_cb",
            sort_function=None,
            comparator="tps_cmp_cb",
            lookups=p.LookupCounts(23_225, 23_215, 8, 0, 2, 738_412.0, 723_644.0, 753_180.0, 0.031),
            comparisons=chain,
            sort_calls=NOTHING,
            duration_ns=times,
            estimated_comparisons=5.57e9,
            estimated_duration_ns=52.43e9,
            call_sites=(
                p.CallSiteUse(
                    "taskprocessor.c",
                    776,
                    "ast_taskprocessor_create_with_listener",
                    "__ao2_find",
                    p.Search.KEY,
                    20_921,
                    665_141.0,
                    651_839.0,
                    0.0,
                    chain,
                    NOTHING,
                    times,
                ),
                p.CallSiteUse(
                    "taskprocessor.c",
                    741,
                    "ast_taskprocessor_get",
                    "__ao2_find",
                    p.Search.KEY,
                    2_304,
                    73_271.0,
                    71_806.0,
                    0.31,
                    chain,
                    NOTHING,
                    times,
                ),
            ),
        ),
        p.ContainerUse(
            address=0x7F3A5C0480C8,
            kind="hash",
            name="dialogs (dialog_cmp_cb)",
            buckets=563,
            elements_start=812,
            elements_end=809,
            chain=p.Chain(1.44, 5, 6),
            hash_function="dialog_hash_cb",
            sort_function=None,
            comparator="dialog_cmp_cb",
            lookups=p.LookupCounts(17_989, 17_989, 0, 0, 0, 571_320.0, 560_022.0, 582_618.0, 0.78),
            comparisons=small,
            sort_calls=NOTHING,
            duration_ns=small_times,
            estimated_comparisons=532_200.0,
            estimated_duration_ns=4.2e8,
            call_sites=(
                p.CallSiteUse(
                    None,
                    None,
                    "sip_find_call",
                    "__ao2_callback",
                    p.Search.SCAN,
                    17_989,
                    571_320.0,
                    560_022.0,
                    0.78,
                    small,
                    NOTHING,
                    small_times,
                ),
            ),
        ),
    )


HOSTILE_NAME = "<script>alert('x')</script>;\"&amp;\n\r\t\x00\x1b[31m\u202e\udc80]]>"
LONG_NAME = "very_long_name_" * 700  # 10,500 characters


def hostile() -> p.Profile:
    """Losses, truncated stacks, contradictions, and names that try to break out of every format."""
    story = field_story()
    worst = story.containers[0]
    site = replace(worst.call_sites[0], file=HOSTILE_NAME, function=LONG_NAME)
    return replace(
        story,
        command=("ebpf-prof", HOSTILE_NAME),
        target=target(
            exe=HOSTILE_NAME, version=HOSTILE_NAME, command_line=(LONG_NAME,), exited=True
        ),
        stopped_by="target exit",
        cost=replace(story.cost, measured_ratio=0.0213),
        sample_accounting=r.Accounting(6_100, 5_935, 7, 100, 13, 40),
        lookup_accounting=r.Accounting(50_000, 41_214, 0, 8_000, 500, 10),
        stack_quality=p.StackQuality(5_935, 5_000, (("no table", 900), (HOSTILE_NAME, 35))),
        unnamed_frames_ratio=0.42,
        stacks=(
            p.NamedStack((HOSTILE_NAME, LONG_NAME, "leaf;with;semicolons"), 0, "no table"),
            p.NamedStack((HOSTILE_NAME, LONG_NAME), 1, None),
            p.NamedStack((), 0, HOSTILE_NAME),
            *story.stacks[3:],
        ),
        threads=(
            replace(story.threads[0], name=HOSTILE_NAME, role=None),
            replace(story.threads[1], role=LONG_NAME),
        ),
        sockets=(replace(story.sockets[0], local=HOSTILE_NAME),),
        containers=(
            replace(
                worst,
                name=HOSTILE_NAME,
                lookups=replace(worst.lookups, verified=20_000, contradicted=3_215),
                comparator=LONG_NAME,
                call_sites=(site,),
            ),
            replace(
                story.containers[1],
                name=None,
                kind="unknown",
                buckets=None,
                elements_start=None,
                elements_end=None,
                chain=p.Chain(None, None, None),
                lookups=p.LookupCounts(1, 0, 1, 0, 0, None, 44_000.0, None, None),
                comparisons=NOTHING,
                call_sites=(),
            ),
        ),
        findings=(replace(story.findings[0], title=HOSTILE_NAME, evidence=(LONG_NAME,)),),
        warnings=(HOSTILE_NAME, "kernel symbols are hidden (kptr_restrict)"),
    )


def poisoned() -> p.Profile:
    """The field story with every string of it hostile, as a forged recording can make it."""
    return _poison(field_story())  # type: ignore[return-value]


def _poison(value: object) -> object:
    if isinstance(value, str):
        return HOSTILE_NAME
    if isinstance(value, tuple):
        return tuple(map(_poison, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _poison(getattr(value, f.name)) for f in fields(value)})
    return value


EXAMPLES = {"empty": empty, "field_story": field_story, "hostile": hostile}


def recording() -> r.Recording:
    """A small recording with every kind of entry, known and unknown."""
    counted = r.Distribution(3, 15_882, 7_941, ((0, 1, 1), (7_936, 8_192, 2)))
    return r.Recording(
        schema=r.SCHEMA,
        tool_version="0.1.0",
        command=("ebpf-prof", "asterisk"),
        started_at="2026-11-24T05:43:10Z",
        target=target(),
        window=r.Window(START_NS, START_NS + SECOND_NS),
        stopped_by="duration",
        frequency_hz=99.0,
        files=(
            r.MappedFile("/usr/sbin/asterisk", "5c3fd1a7e0b94be0a5f1ee5d2f8a1b7c90de4421"),
            r.MappedFile("[kernel]", None),
        ),
        frames=(
            r.Frame(0x55D0001C3A44, 0, 0x1C3A44, 0x1C3A40, None, None),
            r.Frame(0x55D00006DB60, 0, 0x6DB60, 0x6DB40, "__ao2_find", "dynsym"),
            r.Frame(0xFFFFFFFF81000120, 1, None, None, "do_syscall_64", "kallsyms"),
            r.Frame(0x1234, None, None, None, None, None),
        ),
        stacks=(r.Stack((2, 1, 0), 1, None), r.Stack((3,), 0, "no table"), r.Stack((), 0, "lost")),
        samples=(r.Sample(START_NS, 4711, 0), r.Sample(START_NS + 10_101_010, 4733, 1)),
        sample_accounting=r.Accounting(2, 2, 0, 0, 0, 0),
        threads=(
            r.ThreadUse(4711, "asterisk", 991_000_000, 12_000, False),
            r.ThreadUse(4733, "\udc80;<&", 0, None, True),
        ),
        sockets=(r.Socket("0.0.0.0:5060", 212_992, 198_144.5, 1_204),),
        containers=(
            r.Container(
                0x7F3A5C0012A8, "hash", 7, 55_585, None, ((7_940, 4), (7_941, 3)), 0, None, 1
            ),
        ),
        call_sites=(r.CallSite(None, None, "build_peer"), r.CallSite("taskprocessor.c", 776, "f")),
        lookups=(
            r.LookupGroup(
                *(0, 1, "__ao2_find", 0x40, 3, 3, 0, 0, 0, 1, 2, 96.5, 12.25),
                *(counted, counted, counted),
            ),
        ),
        lookup_stacks=(r.LookupStack(0, 0, 3.0, 15_882.0),),
        lookup_accounting=r.Accounting(4, 3, 1, 0, 0, 0),
        probe_windows=(r.ProbeWindow(START_NS, START_NS + 31_000_000, 4, 2_900),),
        probes=(r.Probe("__ao2_find", "asterisk+0x6db44", "push rbp", "first emulated"),),
        cost=r.Cost(0.01, 1_000, 2_900, 720, 10_600),
        warnings=("kernel symbols are hidden",),
    )
