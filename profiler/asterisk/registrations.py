"""Functions of Asterisk, pjproject and the C library that are given other functions to call.

Source: the prototypes and structures in include/asterisk/*.h of 16.28 and 22.10, which agree in
all that is used here, and pjproject's pjsip/sip_module.h, sip_transport.h and pj/os.h. Roles have
the names of the parameters and members. Positions count from 0 in the order of the C parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.asterisk.caller_signatures import CALLER_SIGNATURES


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Positions of the callbacks among the arguments, by role, and of a text that says whose."""

    roles: dict[str, int]
    owner: int | None

    @property
    def positions(self) -> tuple[int, ...]:
        """All of them."""
        return (*self.roles.values(), *(() if self.owner is None else (self.owner,)))


@dataclass(frozen=True, slots=True)
class Table:
    """A structure full of callbacks: which argument it is, its callbacks, and its name's place."""

    argument: int
    members: dict[int, str]  # role by offset
    name_offset: int | None


def _members(first: int, names: str) -> dict[int, str]:
    """Return the offsets of pointers that follow each other."""
    return {first + 8 * place: name for place, name in enumerate(names.split())}


def _caller_name(function: str) -> int | None:
    signature = CALLER_SIGNATURES.get(function)
    return None if signature is None else signature.function


_PASSED = {
    ("start_routine", 2): "pthread_create",
    ("destructor_fn", 1): "__ao2_alloc",
    ("cb_fn", 2): "__ao2_callback __ao2_callback_data",
    ("task", 1): """ast_threadpool_push __ast_threadpool_push __ast_taskpool_push
        __ast_taskpool_push_wait""",
    ("task_exe", 1): """ast_taskprocessor_push __ast_taskprocessor_push
        ast_taskprocessor_push_local __ast_taskprocessor_push_local""",
    ("sip_task", 1): """ast_sip_push_task ast_sip_push_task_synchronous
        ast_sip_push_task_wait_servant ast_sip_push_task_wait_serializer
        __ast_sip_push_task __ast_sip_push_task_synchronous
        __ast_sip_push_task_wait_servant __ast_sip_push_task_wait_serializer""",
    ("callback", 1): "__stasis_subscribe __stasis_subscribe_pool stasis_message_router_set_default",
    ("callback", 2): """stasis_message_router_add ast_io_add ast_sched_add
        ast_sched_add_variable""",
    ("callback", 3): "ast_sched_replace ast_sched_replace_variable",
}
CALLBACKS: dict[str, Callbacks] = {
    # The creator's name stands behind them in Asterisk 14 and later.
    "__ao2_container_alloc_hash": Callbacks({"hash_fn": 3, "sort_fn": 4, "cmp_fn": 5}, 9),
    "__ao2_container_alloc_list": Callbacks({"sort_fn": 2, "cmp_fn": 3}, 7),
    "__ao2_container_alloc_rbtree": Callbacks({"sort_fn": 2, "cmp_fn": 3}, 7),
    "ast_manager_register2": Callbacks({"action": 2}, 0),
    "ast_register_application2": Callbacks({"execute": 1}, 0),
    "ast_devstate_prov_add": Callbacks({"callback": 1}, 0),
    "pj_thread_create": Callbacks({"proc": 2}, 1),
    "pjsip_tpmgr_create": Callbacks({"rx_cb": 2, "tx_cb": 3}, None),
    **{
        name: Callbacks({role: position}, _caller_name(name))
        for (role, position), names in _PASSED.items()
        for name in names.split()
    },
}
_PJSIP_MODULE = _members(
    40,
    "load start stop unload on_rx_request on_rx_response on_tx_request on_tx_response on_tsx_state",
)
TABLES: dict[str, Table] = {
    # What follows `answer` is elsewhere in 22.
    "ast_channel_register": Table(
        0,
        _members(
            32,
            "requester requester_with_stream_topology devicestate presencestate"
            " send_digit_begin send_digit_end call hangup answer",
        ),
        0,
    ),
    "ast_config_engine_register": Table(
        0,
        _members(
            8,
            "load_func realtime_func realtime_multi_func update_func update2_func store_func"
            " destroy_func require_func unload_func",
        ),
        0,
    ),
    "ast_rtp_engine_register2": Table(
        0,
        _members(
            16,
            "new destroy write stop dtmf_begin dtmf_end dtmf_end_with_duration update_source"
            " change_source extended_prop_set extended_prop_get prop_set payload_set"
            " remote_address_set dtmf_mode_set dtmf_mode_get get_stat qos fd red_init red_buffer"
            " read",
        ),
        0,
    ),
    "ast_sip_session_register_sdp_handler": Table(
        0,
        _members(
            8,
            "defer_incoming_sdp_stream negotiate_incoming_sdp_stream create_outgoing_sdp_stream"
            " change_outgoing_sdp_stream_media_address apply_negotiated_sdp_stream stream_stop"
            " stream_destroy",
        ),
        0,
    ),
    "ast_taskprocessor_listener_alloc": Table(
        0, _members(0, "start task_pushed emptied shutdown dtor"), None
    ),
    "ast_sip_register_service": Table(0, _PJSIP_MODULE, 16),
    "pjsip_endpt_register_module": Table(1, _PJSIP_MODULE, 16),
}
