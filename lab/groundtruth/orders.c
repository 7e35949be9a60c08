/*
 * Searches in other orders than the usual one, and searches that take several elements out.
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

SEARCH find_descending(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_SEARCH_KEY | OBJ_ORDER_DESCENDING;
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted->name, flags);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH scan_descending(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted, OBJ_ORDER_DESCENDING);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH scan_parents_first(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted, OBJ_ORDER_PRE);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH scan_children_first(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted, OBJ_ORDER_POST);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH unlink_multiple(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_SEARCH_KEY | OBJ_MULTIPLE | OBJ_UNLINK;
    struct ao2_iterator *found;
    struct item *item;
    int any;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted->name, flags);
    any = found && ao2_iterator_count(found) > 0;
    lookup_end(worker, any);
    while (found && (item = ao2_iterator_next(found))) {
        item_link(box, item);
        ao2_ref(item, -1);
    }
    if (found) {
        ao2_iterator_destroy(found);
    }
    return any;
}

static void count_call(void)
{
    if (searching) {
        searching->levels[searching->depth].comparisons++;
    }
}

static int take(void *object, void *argument, void *data, int flags)
{
    struct item **taken = data;

    count_call();
    if (object != argument) {
        return 0;
    }
    *taken = ao2_bump(object);
    return CMP_MATCH;
}

SEARCH unlink_scan(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_UNLINK | OBJ_NODATA | OBJ_MULTIPLE;
    struct item *taken = NULL;

    lookup_begin(worker);
    HERE(worker), ao2_callback_data(box->container, flags, take, wanted, &taken);
    lookup_end(worker, 0);
    if (taken) {
        item_link(box, taken);
        ao2_ref(taken, -1);
    }
    return taken != NULL;
}

static int stop_at(void *object, void *argument, int flags)
{
    count_call();
    return object == argument ? CMP_STOP : 0;
}

/* Would take an element out, but stops without a match. */
SEARCH unlink_nothing(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_callback(box->container, OBJ_UNLINK, stop_at, wanted);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

/* Sorts and compares on its own account too, which no container asked for. */
static int sort_and_compare(void *object, void *argument, int flags)
{
    struct worker *worker = searching;
    int result;

    searching = NULL;
    item_sort(object, argument, flags);
    result = item_compare(object, argument, flags);
    searching = worker;
    count_call();
    return result;
}

SEARCH callback_sort(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;
    char *key = wanted->name;

    lookup_begin(worker);
    HERE(worker), found = ao2_callback(box->container, OBJ_SEARCH_KEY, sort_and_compare, key);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

/* Puts what it sees into another container, which sorts it by the same function. */
static int link_elsewhere(void *object, void *argument, void *data, int flags)
{
    struct worker *worker = searching;
    int result;

    searching = NULL;
    ao2_link(data, object);
    result = item_compare(object, argument, flags);
    searching = worker;
    count_call();
    return result;
}

SEARCH callback_link(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_SEARCH_KEY;
    struct ao2_container *other = box->kind == KIND_RBTREE
                                      ? ao2_container_alloc_rbtree(0, 0, item_sort, NULL)
                                      : ao2_container_alloc_list(0, 0, item_sort, NULL);
    struct item *found;
    char *key = wanted->name;

    if (!other) {
        return 0;
    }
    searching = NULL;
    ao2_link(other, wanted);
    searching = worker;
    lookup_begin(worker);
    HERE(worker), found = ao2_callback_data(box->container, flags, link_elsewhere, key, other);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    ao2_ref(other, -1);
    return found != NULL;
}

struct disturbance {
    struct box *box;
    struct item *item;
    int is_linked_again;
    int is_done;
};

/* Takes an element out when it sees the first one, which the traversal does not know. */
static int disturb(void *object, void *argument, void *data, int flags)
{
    struct disturbance *d = data;
    struct item *item = d->item ? d->item : object;

    count_call();
    if (d->is_done++) {
        return 0;
    }
    ao2_unlink_flags(d->box->container, item, OBJ_NOLOCK);
    if (d->is_linked_again) {
        ao2_link_flags(d->box->container, item, OBJ_NOLOCK);
    }
    return 0;
}

/* Where elements come in at the end, it sees one of them twice. */
SEARCH callback_move(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_NODATA | OBJ_NOLOCK;
    struct disturbance moves = {.box = box, .is_linked_again = 1};

    ao2_wrlock(box->container);
    lookup_begin(worker);
    HERE(worker), ao2_callback_data(box->container, flags, disturb, NULL, &moves);
    lookup_end(worker, 0);
    ao2_unlock(box->container);
    return 0;
}

/* Takes out the last element, which it never sees, and not as a match, with the same argument. */
SEARCH unlink_unseen(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_UNLINK | OBJ_NODATA | OBJ_MULTIPLE;
    struct disturbance takes = {.box = box, .item = box->items[box->count - 1]};

    lookup_begin(worker);
    HERE(worker), ao2_callback_data(box->container, flags, disturb, takes.item, &takes);
    lookup_end(worker, 0);
    item_link(box, takes.item);
    return 0;
}

const struct search order_searches[] = {
    {"descending", "__ao2_find", find_descending, 1, 0},
    {"descending-miss", "__ao2_find", find_descending, 0, 0},
    {"scan-descending", "__ao2_find", scan_descending, 1, 0},
    {"scan-pre", "__ao2_find", scan_parents_first, 1, 0},
    {"scan-post", "__ao2_find", scan_children_first, 1, 0},
    {"unlink-multiple", "__ao2_find", unlink_multiple, 1, 1},
    {"unlink-multiple-miss", "__ao2_find", unlink_multiple, 0, 1},
    {"unlink-scan", "__ao2_callback_data", unlink_scan, 1, 1},
    {"unlink-nothing", "__ao2_callback", unlink_nothing, 1, 0},
    {"callback-sort", "__ao2_callback", callback_sort, 1, 0},
    {"callback-link", "__ao2_callback_data", callback_link, 1, 0},
    {"callback-move", "__ao2_callback_data", callback_move, 1, 1},
    {"unlink-unseen", "__ao2_callback_data", unlink_unseen, 1, 1},
    {NULL, NULL, NULL, 0, 0},
};
