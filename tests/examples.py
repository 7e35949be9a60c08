"""Profiles and a recording with made-up, plausible numbers, for the tests of all outputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from profiler.files.recording_file import read_recording
from profiler.findings.ranking import find
from profiler.model import profile as p
from profiler.model import recording as r
from profiler.model.links import LinkProfile, Links, LinkStack, LinkUse
from profiler.model.search import Search
from profiler.report.aggregate import aggregate
from profiler.report.basics import distributions
from profiler.report.threads.thread_groups import thread_groups
from profiler.report.time_line import sample_bins
from tests import off_cpu_examples
from tests import task_examples as t
from tests.example_times import SECOND_NS, START_NS, field_samples, field_time_line, small_time_line
from tests.hostile_names import HOSTILE_NAME, LONG_NAME, poison

RECORDING = Path(__file__).parent / "golden" / "recording-1" / "recording"


def quantiles(values: dict[tuple[int, int], int]) -> p.Quantiles:
    """Build a distribution from {(low, high): count}."""
    slots = tuple((low, high, count) for (low, high), count in sorted(values.items()))
    total = sum((low + high - 1) * count // 2 for low, high, count in slots)
    return distributions.quantiles(
        r.Distribution(sum(values.values()), total, slots[-1][1] - 1 if slots else None, slots)
    )


NOTHING = quantiles({})
HOST = r.Host("pbx1", "6.1.0-28-amd64", 2, "0.26.0", "2026-11-24T06:43:10+01:00", "CET")


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
    """55,585 taskprocessors in 7 buckets, and a REGISTER storm that walks them.

    The stored recording, with the samples of a whole minute and some lookups that were lost.
    """
    waits = off_cpu_examples.field_off_cpu()
    stored = aggregate(replace(read_recording(RECORDING), off_cpu=waits))
    samples = field_samples()
    counts = Counter(sample.tid for sample in samples)
    story = replace(
        stored,
        frequency_hz=99.0,
        cost=replace(stored.cost, open_ratio=0.031),
        sample_accounting=r.Accounting(len(samples) + 3, len(samples), 1, 2, 0, 0),
        lookup_accounting=r.Accounting(41_516, 41_212, 280, 22, 0, 2),
        stack_quality=p.StackQuality(len(samples), len(samples), ()),
        lookup_stack_quality=p.StackQuality(41_214, 41_213, (("unreadable stack", 1),)),
        unnamed_frames_ratio=0.021,
        samples=samples,
        threads=tuple(replace(one, samples=counts[one.tid]) for one in stored.threads),
        thread_groups=tuple(
            replace(group, samples=counts[group.tids[0]]) for group in stored.thread_groups
        ),
        containers=_field_containers(*stored.containers),
        warnings=(),
        children=p.ChildrenUse(0.021, (p.ChildProcesses("agi-lookup.pl", 7, 0.018),)),
        descriptors=r.Descriptors(412, 1_024),
        seen_lookups_ratio=0.034,
        host=HOST,
        total_cpu_ratio=1.01,
        time_line=field_time_line(),
        tasks=t.shown(t.healthy()),
    )
    story = with_sample_bins(_with_operations(story))
    return replace(story, findings=find(story))


def with_sample_bins(profile: p.Profile) -> p.Profile:
    """Count a profile's own samples over time."""
    sampled = replace(recording(), window=profile.window, samples=profile.samples)
    return replace(profile, sample_bins=sample_bins(sampled, profile.thread_groups))


def operation(profile: p.Profile, samples: int) -> p.OperationUse:
    """Return links from one place with so many samples of a profile."""
    return p.OperationUse("ao2_link", "config.c", 1_234, "loads", profile.cpu_share(samples), ())


def _with_operations(story: p.Profile) -> p.Profile:
    """Put samples into operations: lookups in the first container, and links from elsewhere."""
    first, second = story.containers
    found, asked = first.call_sites
    uses = (
        p.OperationUse(
            "ao2_find",
            found.file,
            found.line,
            found.function,
            story.cpu_share(3_505),
            (p.ContainerPart(first.address, first.label, 1.0),),
        ),
        p.OperationUse(
            "ao2_find",
            asked.file,
            asked.line,
            asked.function,
            story.cpu_share(1_208, is_divided=True),
            (
                p.ContainerPart(first.address, first.label, 0.75),
                p.ContainerPart(second.address, second.label, 0.25),
            ),
        ),
        operation(story, 900),
    )
    sites = (
        replace(found, cpu=uses[0].cpu),
        replace(asked, cpu=story.cpu_share(906, is_divided=True)),
    )
    first = replace(first, cpu=story.cpu_share(4_411, is_divided=True), call_sites=sites)
    shared = story.cpu_share(302, is_divided=True)
    searches = tuple(replace(site, cpu=shared) for site in second.call_sites)
    second = replace(second, cpu=shared, call_sites=searches)
    return replace(story, containers=(first, second), operations=uses)


def with_threads(profile: p.Profile, *threads: p.Thread) -> p.Profile:
    """Put other threads, without paths, in the place of a profile's."""
    profile = replace(profile, threads=threads, thread_groups=thread_groups(threads))
    return with_sample_bins(profile)


def _field_containers(worst: p.ContainerUse, dialogs: p.ContainerUse) -> tuple[p.ContainerUse, ...]:
    (site,) = dialogs.call_sites
    return (
        replace(
            worst,
            chain=p.Chain(7_949.1, 8_104, 8_104),
            lookups=p.LookupCounts(23_225, 23_215, 8, 0, 2, 738_412.0, 723_644.0, 753_180.0, 0.031),
            comparisons=worst.call_sites[0].comparisons,
            duration_ns=worst.call_sites[0].duration_ns,
            estimated_comparisons=5.57e9,
            estimated_duration_ns=52.43e9,
        ),
        replace(
            dialogs,
            name="dialogs (dialog_cmp_cb)",
            lookups=p.LookupCounts(17_989, 17_989, 0, 0, 0, 571_320.0, 560_022.0, 582_618.0, 0.78),
            estimated_duration_ns=4.2e8,
            call_sites=(replace(site, estimated_total=571_320.0, estimated_low=560_022.0),),
        ),
    )


def looking_up(
    search: Search, compared: int, lookups: float = 1_000, mean_ns: int = 100_000
) -> p.CallSiteUse:
    """Return a call site of ten lookups a ms, which compare this often and take so long."""
    return p.CallSiteUse(
        file="main.c",
        line=7,
        function="asks",
        entry="__ao2_find",
        search=search,
        measured=100,
        estimated_total=lookups,
        estimated_low=lookups / 2,
        hit_ratio=0.5,
        comparisons=quantiles({(compared, compared + 1): 100}),
        sort_calls=quantiles({}),
        duration_ns=quantiles({(mean_ns, mean_ns + 1): 100}),
    )


def looked_up(*sites: p.CallSiteUse, **changes: object) -> p.ContainerUse:
    """Return a hash container of 7 buckets that these call sites search."""
    model = field_story().containers[0]
    known = replace(
        model,
        kind="hash",
        name="things",
        buckets=7,
        elements_start=7_000,
        elements_end=7_000,
        lookups=replace(model.lookups, hit_ratio=0.5, estimated_total=1_000.0),
        comparisons=sites[0].comparisons,
        estimated_duration_ns=sum(s.total_or_bound * (s.duration_ns.mean or 0) for s in sites),
        call_sites=sites,
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def hostile() -> p.Profile:
    """Losses, truncated stacks, contradictions, and names that try to break out of every format."""
    story = field_story()
    threads = (
        replace(story.threads[0], name=HOSTILE_NAME, role=None),
        replace(story.threads[1], role=LONG_NAME),
    )
    worst = story.containers[0]
    site = replace(
        worst.call_sites[0],
        file=HOSTILE_NAME,
        function=LONG_NAME,
        measured=worst.lookups.measured,
        estimated_total=worst.lookups.estimated_total,
    )
    made = replace(
        story,
        command=("ebpf-prof", HOSTILE_NAME),
        target=target(
            exe=HOSTILE_NAME,
            version=HOSTILE_NAME,
            command_line=(LONG_NAME,),
            exited=True,
            system=r.System(HOSTILE_NAME, (HOSTILE_NAME, "rhel"), LONG_NAME, HOSTILE_NAME, None),
        ),
        stopped_by="target exit",
        host=r.Host(HOSTILE_NAME, LONG_NAME, 2, HOSTILE_NAME, LONG_NAME, HOSTILE_NAME),
        cost=replace(story.cost, measured_ratio=0.0213),
        sample_accounting=r.Accounting(6_100, 5_000, 7, 100, 13, 935),
        lookup_accounting=r.Accounting(50_000, 23_224, 0, 8_000, 500, 2),
        lookup_stack_quality=p.StackQuality(23_226, 23_225, (("unreadable stack", 1),)),
        stack_quality=p.StackQuality(5_935, 5_000, (("no table", 900), (HOSTILE_NAME, 35))),
        unnamed_frames_ratio=0.42,
        unnamed_files=(
            p.UnnamedFile(f"/{HOSTILE_NAME}", "ab" * 20, 0.61),
            p.UnnamedFile(f"/{LONG_NAME}", HOSTILE_NAME, 0.42),
            p.UnnamedFile("/usr/lib/x86_64-linux-gnu/libc.so.6</code>'`reboot`", None, 0.12),
        ),
        stacks=(
            p.NamedStack((HOSTILE_NAME, LONG_NAME, "leaf;with;semicolons"), 0, "no table"),
            p.NamedStack((HOSTILE_NAME, LONG_NAME), 1, None),
            p.NamedStack((), 0, HOSTILE_NAME),
            *story.stacks[3:],
        ),
        threads=threads,
        thread_groups=tuple(
            replace(group, paths=(p.ThreadPath((HOSTILE_NAME, LONG_NAME), 0.62, True, 0.9),))
            for group in thread_groups(threads)
        ),
        sockets=(replace(story.sockets[0], local=HOSTILE_NAME),),
        containers=(
            replace(
                worst,
                name=HOSTILE_NAME,
                lookups=replace(worst.lookups, verified=20_000, contradicted=3_215),
                comparisons=quantiles({(0, 1): 311, (7_936, 8_192): 19_689}),
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
                duration_ns=quantiles({(14_336, 14_848): 1}),
                call_sites=(),
            ),
        ),
        findings=(replace(story.findings[0], title=HOSTILE_NAME, evidence=(LONG_NAME,)),),
        operations=(
            p.OperationUse(
                LONG_NAME,
                HOSTILE_NAME,
                7,
                HOSTILE_NAME,
                story.cpu_share(5_935),
                (p.ContainerPart(1, HOSTILE_NAME, 0.5), p.ContainerPart(2, LONG_NAME, 0.5)),
            ),
        ),
        tasks=t.hostile(),
        links=LinkProfile((LinkUse(0, (HOSTILE_NAME, LONG_NAME), 3),), 0.1, r.Accounting(3, 3)),
        warnings=(HOSTILE_NAME, "kernel symbols are hidden (kptr_restrict)"),
    )
    return with_sample_bins(made)


def poisoned() -> p.Profile:
    """The field story with every string of it hostile, as a forged recording can make it."""
    return poison(field_story())  # type: ignore[return-value]


def contended() -> p.Profile:
    """A PBX on which AMI sessions keep the lock of all channels."""
    waits = off_cpu_examples.contended_off_cpu()
    return aggregate(off_cpu_examples.busy_recording(recording(), waits))


EXAMPLES = {
    "empty": empty,
    "field_story": field_story,
    "hostile": hostile,
    "contended": contended,
}


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
        operations=(r.Operation("ao2_find", 1, 0, (0,)), r.Operation("ao2_link", 0, 3, (1, 2))),
        children=r.Children(30_000_000, (r.ChildUse("sox", 2, 20_000_000),)),
        descriptors=r.Descriptors(412, 1_024),
        host=HOST,
        cpu_ns=991_500_000,
        time_line=small_time_line(),
        links=Links((LinkStack(0, 0, 3),), 500, r.Accounting(4, 3, 0, 1)),
    )
