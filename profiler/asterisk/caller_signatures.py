"""Where exported Asterisk functions take the file, line and function name of their caller.

Source: the prototypes in include/asterisk/*.h of 16.28 and 22.10; all of these positions are the
same in both. Positions count from 0 in the order of the C parameters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """Positions of the caller's file, line and function name."""

    file: int
    line: int
    function: int

    @property
    def positions(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(sorted((self.file, self.line, self.function)))


# By the position of the function name, which follows file and line.
_FILE_LINE_FUNCTION = {
    2: """__ast_asprintf __ast_cond_broadcast __ast_cond_destroy __ast_cond_init __ast_cond_signal
        __ast_cond_timedwait __ast_cond_wait __ast_dummy_channel_alloc __ast_pthread_mutex_destroy
        __ast_pthread_mutex_lock __ast_pthread_mutex_trylock __ast_pthread_mutex_unlock
        __ast_repl_asprintf __ast_rwlock_destroy __ast_rwlock_rdlock __ast_rwlock_timedrdlock
        __ast_rwlock_timedwrlock __ast_rwlock_tryrdlock __ast_rwlock_trywrlock
        __ast_rwlock_unlock __ast_rwlock_wrlock
        __ast_trace __ast_verbose __ast_verbose_callid __ast_cc_config_params_init""",
    3: """ast_log ast_log_callid ast_log_safe __ast_free __ast_frdup __ast_frisolate __ast_malloc
        __ast_module_ref __ast_module_running_ref __ast_module_shutdown_ref __ast_module_unref
        __ast_pthread_mutex_init __ast_repl_malloc __ast_repl_strdup __ast_rwlock_init
        __ast_sorcery_open __ast_strdup __stasis_message_router_create
        __stasis_message_router_create_pool""",
    4: """__ao2_cleanup_debug __ao2_get_weakproxy __ao2_global_obj_ref __ao2_iterator_next
        __ast_assert_failed __ast_calloc __ast_format_cache_get __ast_format_cap_alloc
        __ast_realloc __ast_repl_calloc __ast_repl_realloc __ast_repl_strndup __ast_strndup
        _ast_heap_push _ast_var_assign""",
    5: """__ao2_container_clone __ao2_global_obj_replace __ao2_global_obj_replace_unref __ao2_ref
        __ao2_weakproxy_alloc __ao2_weakproxy_get_object __ast_channel_internal_alloc
        __ast_datastore_alloc __ast_fd_set_flags __ast_repl_vasprintf __ast_sip_push_task
        __ast_sip_push_task_synchronous __ast_sip_push_task_wait_serializer
        __ast_sip_push_task_wait_servant __ast_string_field_alloc_space
        __ast_string_field_free_memory __ast_string_field_init __ast_string_fields_copy
        __ast_taskpool_push __ast_taskpool_push_wait __ast_taskpool_serializer_push_wait
        __ast_taskprocessor_push __ast_taskprocessor_push_local __ast_threadpool_push
        __ast_vasprintf __stasis_subscribe __stasis_subscribe_pool _ast_heap_create""",
    6: """__ao2_alloc __ao2_alloc_with_lockobj __ao2_find __ao2_link __ao2_unlink
        __ao2_weakproxy_find __ao2_weakproxy_ref_object __ao2_weakproxy_set_object
        __ast_format_cap_append __ast_manager_event_multichan ast_pthread_create_stack
        ast_pthread_create_detached_stack""",
    7: """__ao2_callback __ao2_container_alloc_list __ao2_container_alloc_rbtree
        __ast_calloc_with_stringfields __ast_str_helper""",
    8: "__ao2_callback_data",
    9: "__ao2_container_alloc_hash",
}
_SPECIAL = {
    "__ao2_lock": Signature(2, 4, 3),
    "__ao2_trylock": Signature(2, 4, 3),
    "__ao2_unlock": Signature(1, 3, 2),
    "__ast_heap_rdlock": Signature(1, 3, 2),
    "__ast_heap_unlock": Signature(1, 3, 2),
    "__ast_heap_wrlock": Signature(1, 3, 2),
    "_ast_variable_new": Signature(3, 5, 4),
    # (thread, attributes, routine, data, stack bytes, file, caller, line, name of the routine)
    "ast_pthread_create_stack": Signature(5, 7, 6),
    "ast_pthread_create_detached_stack": Signature(5, 7, 6),
    "__ast_channel_alloc": Signature(11, 12, 13),
    "__ast_test_status_update": Signature(0, 2, 1),
    "__ast_test_suite_event_notify": Signature(0, 2, 1),
}

CALLER_SIGNATURES: dict[str, Signature] = {
    name: Signature(position - 2, position - 1, position)
    for position, names in _FILE_LINE_FUNCTION.items()
    for name in names.split()
} | _SPECIAL
