/*
 * The console command `groundtruth`: what it offers, and what its arguments share.
 *
 * Every subcommand answers with one line of JSON; one that is refused says {"error": REASON}.
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

#include "asterisk/module.h"
#include "asterisk/utils.h"

char *refuse(struct ast_cli_args *a, const char *reason)
{
    ast_cli(a->fd, "{\"error\": \"%s\"}\n", reason);
    return CLI_FAILURE;
}

/* Not strtoll: newer headers give it another name, which an older Asterisk's libc does not have. */
int parse_number(const char *text, long long low, long long high, long long *value)
{
    const char *digit;

    *value = 0;
    for (digit = text; *digit >= '0' && *digit <= '9' && digit - text < 18; digit++) {
        *value = *value * 10 + (*digit - '0');
    }
    return digit != text && !*digit && *value >= low && *value <= high;
}

const char *option(struct ast_cli_args *a, int first, const char *key)
{
    size_t length = strlen(key);
    int i;

    for (i = first; i < a->argc; i++) {
        if (!strncmp(a->argv[i], key, length) && a->argv[i][length] == '=') {
            return a->argv[i] + length + 1;
        }
    }
    return NULL;
}

int option_number(struct ast_cli_args *a, int first, const char *key, long long low, long long high,
                  long long *value)
{
    const char *text = option(a, first, key);

    return !text || parse_number(text, low, high, value);
}

const char *unknown_option(struct ast_cli_args *a, int first, const char *const *keys)
{
    int i, k;

    for (i = first; i < a->argc; i++) {
        for (k = 0; keys[k]; k++) {
            size_t length = strlen(keys[k]);

            if (!strncmp(a->argv[i], keys[k], length) && a->argv[i][length] == '=') {
                break;
            }
        }
        if (!keys[k]) {
            return a->argv[i];
        }
    }
    return NULL;
}

/* groundtruth storm NAME THREADS SECONDS [SEARCH]: lookups at full speed, in the background */
static char *storm(struct ast_cli_args *a)
{
    char threads[32], seconds[32];
    const char *words[] = {"groundtruth", "start", NULL, "hit", threads, seconds};
    int count = ARRAY_LEN(words);
    struct ast_cli_args start = {.fd = a->fd, .argc = count, .argv = words};

    if (a->argc < 5 || a->argc > 6) {
        return CLI_SHOWUSAGE;
    }
    snprintf(threads, sizeof(threads), "threads=%s", a->argv[3]);
    snprintf(seconds, sizeof(seconds), "seconds=%s", a->argv[4]);
    words[2] = a->argv[2];
    if (a->argc == 6) {
        words[3] = a->argv[5];
    }
    return run_start(&start, 0);
}

static char *tasks_command(struct ast_cli_args *a)
{
    const char *word = a->argc > 2 ? a->argv[2] : "";

    if (!strcmp(word, "start")) {
        return tasks_start(a);
    } else if (!strcmp(word, "result")) {
        return tasks_result(a);
    } else if (!strcmp(word, "stop")) {
        return tasks_stop(a);
    }
    return CLI_SHOWUSAGE;
}

static char *dispatch(struct ast_cli_args *a)
{
    const char *word = a->argc > 1 ? a->argv[1] : "";

    if (!strcmp(word, "make")) {
        return box_make(a);
    } else if (!strcmp(word, "free")) {
        return box_free(a);
    } else if (!strcmp(word, "list")) {
        return box_list(a);
    } else if (!strcmp(word, "hollow")) {
        return box_hollow(a);
    } else if (!strcmp(word, "fill")) {
        return box_fill(a);
    } else if (!strcmp(word, "run")) {
        return run_start(a, 1);
    } else if (!strcmp(word, "start")) {
        return run_start(a, 0);
    } else if (!strcmp(word, "storm")) {
        return storm(a);
    } else if (!strcmp(word, "result")) {
        return run_result(a);
    } else if (!strcmp(word, "stop")) {
        return run_stop(a);
    } else if (!strcmp(word, "park")) {
        return park_start(a);
    } else if (!strcmp(word, "spin")) {
        return spin_start(a);
    } else if (!strcmp(word, "unpark")) {
        return park_end(a);
    } else if (!strcmp(word, "wait") && a->argc > 2 && !strcmp(a->argv[2], "end")) {
        return wait_end(a);
    } else if (!strcmp(word, "wait")) {
        return wait_start(a);
    } else if (!strcmp(word, "contend") && a->argc > 2 && !strcmp(a->argv[2], "start")) {
        return contend_start(a);
    } else if (!strcmp(word, "contend") && a->argc > 2 && !strcmp(a->argv[2], "end")) {
        return contend_end(a);
    } else if (!strcmp(word, "objects")) {
        return objects_command(a);
    } else if (!strcmp(word, "tps") && a->argc > 2 && !strcmp(a->argv[2], "leak")) {
        return taskprocessors_leak(a);
    } else if (!strcmp(word, "tps") && a->argc > 2 && !strcmp(a->argv[2], "free")) {
        return taskprocessors_free(a);
    } else if (!strcmp(word, "tasks")) {
        return tasks_command(a);
    }
    return CLI_SHOWUSAGE;
}

static char *handle(struct ast_cli_entry *e, int cmd, struct ast_cli_args *a)
{
    switch (cmd) {
    case CLI_INIT:
        e->command = "groundtruth";
        e->usage = "Usage: groundtruth make NAME hash|rbtree|list BUCKETS ELEMENTS [sorted=yes]\n"
                   "           [lock=mutex|rwlock|nolock] [insert=begin] [copies=N] [weak=yes]\n"
                   "           [duplicates=allow|reject|object|replace]\n"
                   "       groundtruth free|list|hollow|fill [NAME] [COUNT]\n"
                   "       groundtruth run|start NAME SEARCH [count=N] [seconds=S] [threads=T]\n"
                   "           [at=PLACE] [rate=PER_SECOND] [churners=T] [churn=PER_SECOND]\n"
                   "           [inner=NAME] [nest=hit|miss] [depth=D] [every=N]\n"
                   "       groundtruth storm NAME THREADS SECONDS [SEARCH]\n"
                   "       groundtruth result|stop [RUN]\n"
                   "       groundtruth park [THREADS]; groundtruth spin THREADS SECONDS\n"
                   "       groundtruth unpark\n"
                   "       groundtruth wait hold|readers|writer|chain|cycle|cycles|idle\n"
                   "           [lock=mutex|object|mixed|rwlock|object-rwlock] [threads=N]\n"
                   "           [rest=condition|timed-condition|sleep|poll|read|spin]\n"
                   "           [times=N] [seconds=S] [behind=N]\n"
                   "       groundtruth wait end\n"
                   "       groundtruth contend start [threads=N] [turns=N] [hold=US] [pause=US]\n"
                   "           [box=NAME]; groundtruth contend end\n"
                   "       groundtruth tps leak N [pjsip]; groundtruth tps free\n"
                   "       groundtruth tasks start NAME [processors=N] [rate=PER_SECOND]\n"
                   "           [seconds=S] [work=sleep|spin] [service=US] [burst=N] [high=N]\n"
                   "           [slow=EVERY] [slow_service=US] [pool=THREADS]\n"
                   "       groundtruth tasks result|stop NAME\n"
                   "       groundtruth objects start [site=SITE] [percent=P] [rate=PER_SECOND]\n"
                   "           [storm=PER_SECOND]; groundtruth objects result|stop|free\n";
        return NULL;
    case CLI_GENERATE:
        return NULL;
    }
    return dispatch(a);
}

static struct ast_cli_entry commands[] = {
    AST_CLI_DEFINE(handle, "Containers whose comparators count their own calls"),
};

static int load_module(void)
{
    return ast_cli_register_multiple(commands, ARRAY_LEN(commands)) ? AST_MODULE_LOAD_DECLINE
                                                                    : AST_MODULE_LOAD_SUCCESS;
}

static int unload_module(void)
{
    int timed_out;

    if (!runs_free()) {
        return -1;
    }
    parked_free();
    waits_free(&timed_out);
    contention_free();
    if (!tasks_free()) {
        return -1;
    }
    objects_free();
    if (!boxes_free()) {
        return -1;
    }
    ast_cli_unregister_multiple(commands, ARRAY_LEN(commands));
    taskprocessors_drop();
    return 0;
}

AST_MODULE_INFO_STANDARD(ASTERISK_GPL_KEY, "Ground truth for profilers");
