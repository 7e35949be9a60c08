/*
 * Objects that live and die by plan, and the few that do not die: shared by objects.c (their types,
 * and the threads that make them), references.c (who takes and gives back references) and truth.c
 * (what became of them).
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef GROUNDTRUTH_OBJECTS_H
#define GROUNDTRUTH_OBJECTS_H

#include "groundtruth.h"

#include "asterisk/linkedlists.h"

#define STORM_THREADS 8
#define STORM_OBJECTS 16

/* What is done with an object while it lives; its end undoes the same. */
enum use {
    /* An index of all, in which it can be found. */
    USE_LINK = 1 << 0,
    USE_FIND = 1 << 1,
    /* A reference that is kept, and given back by another function. */
    USE_ATTACH = 1 << 2,
    /* An object of its own that holds it, and lets go of it in its destructor. */
    USE_OWNER = 1 << 3,
    /* A task on another thread, with a reference of its own. */
    USE_TASK = 1 << 4,
    /* All threads of the storm take references to it and give them back. */
    USE_STORM = 1 << 5,
    /* Only every other object of the type is attached. */
    USE_SOMETIMES = 1 << 6,
};

/* Where a reference may be forgotten: each is taken at one line and given back at another. */
enum site {
    SITE_NONE,
    SITE_BIRTH,
    SITE_LINK,
    SITE_FIND,
    SITE_ATTACH,
    SITE_OWNER,
    SITE_HOLDER,
    SITE_TASK,
    SITES
};

struct owner;

/* An object, whatever its type. */
struct thing {
    unsigned int id;
    struct type *type;
    enum site forgets;
    int sometimes;
    int64_t due_ns;
    struct owner *owner;
    AST_LIST_ENTRY(thing) entry;
};

struct owner {
    struct thing *held;
};

AST_LIST_HEAD_NOLOCK(things, thing);

struct type {
    const char *name;
    struct thing *(*make)(struct type *type);
    unsigned int uses;
    /* How long it lives: the same for all, or anything between. */
    int64_t low_ms;
    int64_t high_ms;
    /* Where it is allocated, known from the first on. */
    int line;
    const char *function;
    uint64_t born;
    uint64_t freed;
    struct things alive;
    pthread_t thread;
};

struct line {
    int line;
    const char *function;
};

/* One run; what it counted stays until the next. */
struct plan {
    enum site site;
    long long percent;
    long long rate;
    long long storm;
    int started;
    int stop;
    uint64_t leaked;
    uint64_t owners_born;
    uint64_t owners_freed;
    struct line taken[SITES];
    struct line given[SITES];
};

extern struct plan objects;
extern struct type types[];
extern const char *const site_names[SITES];

/* Note where the call on the same line stands. */
#define NOTE(kept, at) (objects.kept[at] = (struct line){__LINE__, __PRETTY_FUNCTION__})

/* Everything that references go through; 0 when memory ran out. */
int references_open(void);
void references_close(void);
void references_begin(struct thing *thing);
/* The object may be gone afterwards. */
void references_end(struct thing *thing);
/* Give back what was forgotten. */
void references_repair(void);
void *storm_thread(void *data);
char *objects_print(struct ast_cli_args *a);

#endif
