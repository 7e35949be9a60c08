/*
 * The leak: taskprocessors without a thread, as the serializers of endpoints that nobody freed.
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

#include "asterisk/taskprocessor.h"
#include "asterisk/utils.h"

#define LEAK_MAX 500000

AST_MUTEX_DEFINE_STATIC(leak);
static struct ast_taskprocessor **leaked;
static int leaked_count;

static int listener_start(struct ast_taskprocessor_listener *listener)
{
    return 0;
}

static void listener_pushed(struct ast_taskprocessor_listener *listener, int was_empty)
{
}

static void listener_shutdown(struct ast_taskprocessor_listener *listener)
{
}

static const struct ast_taskprocessor_listener_callbacks callbacks = {
    .start = listener_start,
    .task_pushed = listener_pushed,
    .shutdown = listener_shutdown,
};

static struct ast_taskprocessor *create(const char *format, int number)
{
    char name[AST_TASKPROCESSOR_MAX_NAME + 1], subject[AST_TASKPROCESSOR_MAX_NAME + 1];
    struct ast_taskprocessor_listener *listener;
    struct ast_taskprocessor *made;

    snprintf(subject, sizeof(subject), format, number);
    ast_taskprocessor_build_name(name, sizeof(name), "%s", subject);
    listener = ast_taskprocessor_listener_alloc(&callbacks, NULL);
    if (!listener) {
        return NULL;
    }
    made = ast_taskprocessor_create_with_listener(name, listener);
    ao2_ref(listener, -1);
    return made;
}

/* groundtruth tps leak N [pjsip]: as 16's SIP endpoints leave them, or as 22's PJSIP AORs do */
char *taskprocessors_leak(struct ast_cli_args *a)
{
    const char *format = "stasis/p:endpoint:SIP/leaked%06d";
    struct ast_taskprocessor **grown, *made = NULL;
    long long count;
    int i, total;

    if (a->argc < 4 || a->argc > 5 || (a->argc == 5 && strcmp(a->argv[4], "pjsip"))) {
        return CLI_SHOWUSAGE;
    }
    if (a->argc == 5) {
        format = "pjsip/options/leaked%06d";
    }
    if (!parse_number(a->argv[3], 1, LEAK_MAX, &count)) {
        return refuse(a, "number out of bounds");
    }
    ast_mutex_lock(&leak);
    grown = leaked_count + count > LEAK_MAX
                ? NULL
                : ast_realloc(leaked, (leaked_count + count) * sizeof(*leaked));
    if (grown) {
        leaked = grown;
        for (i = 0; i < count && (made = create(format, leaked_count)); i++) {
            leaked[leaked_count++] = made;
        }
    }
    total = leaked_count;
    ast_mutex_unlock(&leak);
    if (!made) {
        return refuse(a, "too many, or no memory");
    }
    ast_cli(a->fd, "{\"leaked\": %d}\n", total);
    return CLI_SUCCESS;
}

void taskprocessors_drop(void)
{
    ast_mutex_lock(&leak);
    while (leaked_count) {
        ast_taskprocessor_unreference(leaked[--leaked_count]);
    }
    ast_free(leaked);
    leaked = NULL;
    ast_mutex_unlock(&leak);
}

/* groundtruth tps free */
char *taskprocessors_free(struct ast_cli_args *a)
{
    if (a->argc != 3) {
        return CLI_SHOWUSAGE;
    }
    taskprocessors_drop();
    ast_cli(a->fd, "{\"leaked\": 0}\n");
    return CLI_SUCCESS;
}
