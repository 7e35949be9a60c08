"""What a lock is called: by the container, object or variable that it belongs to. Pure."""

from __future__ import annotations

import re

from profiler.model.offcpu import WaitLock
from profiler.model.waits import Lock, LockedContainer, LockedObject, LockKind
from profiler.report.basics.asterisk_words import container_name

# What AST_LIST_LOCK, AST_RWLIST_WRLOCK and so on make of a list (include/asterisk/linkedlists.h).
_LIST_LOCK = re.compile(r"&\((&[\w.>-]+|\w+)\)->lock")
_CONTAINER_CODE = "astobj2"  # its files take the locks of all containers, whatever is in them
_NAME_MAX = 200  # characters; the target's names are not ours to trust
# What objects are, by their destructor: channel_internal_api.c, bridge.c, bridge_channel.c and so
# on in Asterisk 16 to 22.
_OBJECTS = {
    "ast_channel_destructor": "channel",
    "bridge_channel_destroy": "channel in a bridge",
    "destroy_bridge": "bridge",
    "endpoint_dtor": "endpoint",
    "session_destructor": "PJSIP session",
    "sip_destroy_fn": "SIP dialog",
    "sip_destroy_peer_fn": "SIP peer",
    "sip_pvt_dtor": "SIP dialog",
    "subscription_dtor": "stasis subscription",
    "topic_dtor": "stasis topic",
    "tps_taskprocessor_dtor": "taskprocessor",
}


def lock_name(lock: Lock) -> str:
    """Return what it is called; never empty, and never the same for two locks of objects."""
    kind = "rwlock" if lock.kind is LockKind.RWLOCK else "mutex"
    return f"{_subject(lock)[:_NAME_MAX] or 'a lock'} ({kind} at {lock.address:#x})"


def wait_lock_name(lock: WaitLock) -> str:
    """Return what a lock of a recording is called: the same as lock_name() calls it."""
    known = [kind for kind in LockKind if kind.value == lock.kind]
    if known:
        return lock_name(_lock(lock, known[0]))
    return f"{_subject(_lock(lock))[:_NAME_MAX] or 'a lock'} (at {lock.address:#x})"


def _lock(lock: WaitLock, kind: LockKind = LockKind.MUTEX) -> Lock:
    container = thing = None
    if lock.container is not None:
        container = LockedContainer(
            lock.container,
            lock.comparator,
            lock.hash_function,
            lock.sort_function,
            lock.elements,
            lock.buckets,
        )
    if lock.object is not None:
        thing = LockedObject(lock.object, lock.destructor, None, container)
    return Lock(
        lock.address,
        kind,
        None,
        object=thing,
        place=lock.place,
        variables=lock.variables,
        files=lock.files,
    )


def _subject(lock: Lock) -> str:
    """Return what it belongs to; "" if that is not known."""
    if lock.object is not None and lock.object.container is not None:
        container = lock.object.container
        users = {file for file in lock.files if not file.startswith(_CONTAINER_CODE)}
        return container_name(users, container.comparator) or container.kind
    if lock.place is not None and (": " in lock.place or not lock.variables):
        return lock.place
    destructor = lock.object.destructor if lock.object is not None else None
    if destructor is not None:
        return _OBJECTS.get(destructor.removeprefix("~"), f"object ({destructor})")
    if lock.variables:
        where = f" of {lock.files[0]}" if lock.files else ""
        return f"{_list_name(lock.variables[0])}{where}"
    return "" if lock.object is None else "object"


def _list_name(variable: str) -> str:
    """Return a list's name where its lock is meant, else the variable as it is."""
    found = _LIST_LOCK.fullmatch(variable)
    return variable if found is None else found[1]
