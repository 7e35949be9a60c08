/* What tasks.bpf.c hands to user space, and what it is told. Mirror: profiler/wire/tasks.py. */
#pragma once

/* AST_TASKPROCESSOR_MAX_NAME (include/asterisk/taskprocessor.h) is 70. */
#define TASK_NAME_BYTES 72

enum task_event_kind { TASK_PUSH, TASK_BEGIN, TASK_END };

struct task_event {
    u64 time_ns;
    u64 processor; /* not of TASK_END */
    u64 function;
    u64 data;
    u64 site;   /* of TASK_PUSH: where it returns to */
    s64 length; /* of TASK_PUSH: of the queue before it; -1: unreadable */
    u64 task;   /* its address, not of TASK_PUSH */
    u32 tid;
    u32 kind;
    char name[TASK_NAME_BYTES]; /* of the task processor, not of TASK_END; "": unreadable */
};

struct task_control {
    u64 admit_until_ns; /* pushes are admitted before; 0: none is */
    u64 allowance_ns;   /* while `spent_ns` is below */
    u64 event_ns;       /* assumed cost of one event */
};

struct task_state {
    u64 spent_ns;
    u64 events[3];  /* by kind: probes that were hit */
    u64 refused;    /* pushes, when the allowance was spent */
    u64 lost;       /* events, since the buffer was full */
    u64 used_up_ns; /* the allowance that was found to be spent */
    u64 stopped_ns; /* when it was */
};
