"""Words of Asterisk: what a lookup searches by, and what its containers are called."""

from __future__ import annotations

from profiler.model.search import Search

OBJ_SEARCH_MASK = 0xE0
_SEARCHES = {0x20: Search.OBJECT, 0x40: Search.KEY, 0x80: Search.PARTIAL, 0x00: Search.SCAN}


def search_of(entry: str, flags: int) -> Search:
    """Return by what a lookup searches."""
    if entry == "__ao2_unlink":
        return Search.OBJECT  # it always searches by the object itself
    return _SEARCHES.get(flags & OBJ_SEARCH_MASK, Search.UNKNOWN)


# Functions of containers whose callers tell the story: what they call is the container's own code.
CONTAINER_FUNCTIONS = frozenset(
    ("__ao2_find", "__ao2_weakproxy_find", "__ao2_link", "__ao2_unlink", "__ao2_iterator_next")
)

# What the containers hold that one source file of Asterisk keeps to itself.
_CONTAINERS_OF_FILES = {
    "app_queue.c": "queues and members",
    "astobj2_container.c": "objects behind weak proxies",
    "cdr.c": "call detail records",
    "chan_sip.c": "SIP peers and dialogs",
    "channel.c": "channels",
    "channelstorage_ao2_legacy.c": "channels",
    "core_local.c": "local channels",
    "endpoints.c": "endpoints",
    "format_cap.c": "formats",
    "location.c": "PJSIP contacts",
    "named_locks.c": "named locks",
    "pjsip_configuration.c": "PJSIP endpoints",
    "pjsip_distributor.c": "PJSIP dialogs",
    "pjsip_options.c": "PJSIP endpoints and contacts to qualify",
    "res_sorcery_memory.c": "sorcery objects",
    "res_sorcery_memory_cache.c": "cached sorcery objects",
    "sorcery.c": "sorcery types and instances",
    "stasis.c": "stasis topics",
    "stasis_cache.c": "stasis cache entries",
    "stasis_state.c": "stasis states",
    "taskprocessor.c": "taskprocessors",
    "threadpool.c": "threads of a pool",
}


def container_name(files: set[str], comparator: str | None) -> str | None:
    """Return what a container holds, by the source files that look into it; None: unknown.

    `files` are the files of its call sites, as Asterisk names them.
    """
    names = {file.rsplit("/", 1)[-1] for file in files}
    known = {_CONTAINERS_OF_FILES[name] for name in names if name in _CONTAINERS_OF_FILES}
    if len(known) == 1:
        subject = known.pop()
    elif len(names) == 1:
        subject = f"container of {names.pop()}"
    else:
        return comparator
    return subject if comparator is None else f"{subject} ({comparator})"
