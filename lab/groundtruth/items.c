/*
 * Elements: how they are named, hashed, sorted and compared. The last two count their calls.
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

#include "asterisk/strings.h"

__thread struct worker *searching __attribute__((tls_model("initial-exec"), visibility("hidden")));

static const char *name_of(const void *argument, int flags)
{
    if ((flags & OBJ_SEARCH_MASK) == OBJ_SEARCH_KEY ||
        (flags & OBJ_SEARCH_MASK) == OBJ_SEARCH_PARTIAL_KEY) {
        return argument;
    }
    return ((const struct item *)argument)->name;
}

int item_hash(const void *object, int flags)
{
    return ast_str_hash(name_of(object, flags));
}

int item_sort(const void *left, const void *right, int flags)
{
    const char *name = ((const struct item *)left)->name;
    const char *other = name_of(right, flags);

    if (searching) {
        searching->levels[searching->depth].sorts++;
    }
    if ((flags & OBJ_SEARCH_MASK) == OBJ_SEARCH_PARTIAL_KEY) {
        return strncmp(name, other, strlen(other));
    }
    return strcmp(name, other);
}

/* A comparator that looks something up itself, in the run's inner container. */
static void __attribute__((noinline)) nested_lookup(struct worker *worker)
{
    struct item *found;

    worker->depth++;
    lookup_begin(worker);
    found = ao2_find(worker->inner, worker->nest_key, OBJ_SEARCH_KEY);
    lookup_end(worker, found != NULL);
    worker->depth--;
    ao2_cleanup(found);
}

int item_compare(void *object, void *argument, int flags)
{
    const char *name = ((const struct item *)object)->name;
    const char *other = name_of(argument, flags);
    struct worker *worker = searching;

    if (worker) {
        worker->levels[worker->depth].comparisons++;
        if (worker->inner && worker->depth + 1 < worker->nest_depth &&
            worker->nest_calls++ % worker->nest_every == 0) {
            nested_lookup(worker);
        }
    }
    if ((flags & OBJ_SEARCH_MASK) == OBJ_SEARCH_PARTIAL_KEY) {
        return strncmp(name, other, strlen(other)) ? 0 : CMP_MATCH;
    }
    return strcmp(name, other) ? 0 : CMP_MATCH;
}

struct item *item_alloc(const char *format, unsigned int number, int weak)
{
    struct item *item;

    item = weak ? ao2_weakproxy_alloc(sizeof(*item), NULL)
                : ao2_alloc_options(sizeof(*item), NULL, AO2_ALLOC_OPT_LOCK_NOLOCK);
    if (item) {
        snprintf(item->name, sizeof(item->name), format, number);
    }
    return item;
}

void item_link(struct box *box, struct item *item)
{
    ao2_link(box->container, item);
}
