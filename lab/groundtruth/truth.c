/*
 * What became of the objects, and where references are taken and given back: one line of JSON.
 *
 * SPDX-License-Identifier: MIT
 */

#include "objects.h"

#include "asterisk/strings.h"

/* null before the line was reached; the references of birth are taken where types are allocated. */
static void add_line(struct ast_str **text, const char *name, const struct line *line)
{
    if (!line->line) {
        ast_str_append(text, 0, ", \"%s\": null", name);
        return;
    }
    ast_str_append(text, 0,
                   ", \"%s\": {\"file\": \"references.c\", \"line\": %d, \"function\": \"%s\"}",
                   name, line->line, line->function);
}

static void add_type(struct ast_str **text, const struct type *type)
{
    ast_str_append(text, 0,
                   "{\"name\": \"%s\", \"destructor\": \"%s_destroy\", \"file\": \"objects.c\", "
                   "\"line\": %d, \"function\": \"%s\", \"born\": %llu, \"freed\": %llu, "
                   "\"low_ms\": %lld, \"high_ms\": %lld}",
                   type->name, type->name, type->line, S_OR(type->function, ""),
                   (unsigned long long)__atomic_load_n(&type->born, __ATOMIC_RELAXED),
                   (unsigned long long)__atomic_load_n(&type->freed, __ATOMIC_RELAXED),
                   (long long)type->low_ms, (long long)type->high_ms);
}

char *objects_print(struct ast_cli_args *a)
{
    struct ast_str *text = ast_str_create(4096);
    int i;

    if (!text) {
        return refuse(a, "no memory");
    }
    ast_str_append(&text, 0,
                   "{\"state\": \"%s\", \"site\": \"%s\", \"percent\": %lld, \"leaked\": %llu, "
                   "\"owners_born\": %llu, \"owners_freed\": %llu",
                   objects.started ? "running" : "done", site_names[objects.site], objects.percent,
                   (unsigned long long)objects.leaked, (unsigned long long)objects.owners_born,
                   (unsigned long long)objects.owners_freed);
    add_line(&text, "taken", &objects.taken[objects.site]);
    add_line(&text, "given", &objects.given[objects.site]);
    ast_str_append(&text, 0, ", \"types\": [");
    for (i = 0; types[i].name; i++) {
        ast_str_append(&text, 0, i ? ", " : "");
        add_type(&text, &types[i]);
    }
    ast_cli(a->fd, "%s]}\n", ast_str_buffer(text));
    ast_free(text);
    return CLI_SUCCESS;
}
