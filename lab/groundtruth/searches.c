/*
 * The kinds of search. Each is a function of its own, so that each is a call site of its own.
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

static void count_call(void)
{
    if (searching) {
        searching->levels[searching->depth].comparisons++;
    }
}

SEARCH find_by_key(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted->name, OBJ_SEARCH_KEY);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH find_by_object(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted, OBJ_SEARCH_OBJECT);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH find_by_prefix(struct worker *worker, struct box *box, struct item *wanted)
{
    char prefix[NAME_BYTES];
    struct item *found;

    snprintf(prefix, sizeof(prefix), "%.*s", (int)strlen(wanted->name) - 2, wanted->name);
    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, prefix, OBJ_SEARCH_PARTIAL_KEY);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH scan(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted, 0);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

/* Return whether an iterator over what was found has anything. */
static int any_found(struct ao2_iterator *found)
{
    return found && ao2_iterator_count(found) > 0;
}

static void drop_found(struct ao2_iterator *found)
{
    if (found) {
        ao2_iterator_destroy(found);
    }
}

SEARCH find_multiple(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_SEARCH_KEY | OBJ_MULTIPLE;
    struct ao2_iterator *found;
    int any;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted->name, flags);
    any = any_found(found);
    lookup_end(worker, any);
    drop_found(found);
    return any;
}

static int see_all(void *object, void *argument, int flags)
{
    count_call();
    return 0;
}

static int match_all(void *object, void *argument, int flags)
{
    count_call();
    return CMP_MATCH;
}

static int stop_at(void *object, void *argument, int flags)
{
    count_call();
    return object == argument ? CMP_STOP : 0;
}

static int compare_with_data(void *object, void *argument, void *data, int flags)
{
    ++*(unsigned int *)data;
    return item_compare(object, argument, flags);
}

SEARCH callback_all(struct worker *worker, struct box *box, struct item *wanted)
{
    lookup_begin(worker);
    HERE(worker), ao2_callback(box->container, OBJ_NODATA | OBJ_MULTIPLE, see_all, NULL);
    lookup_end(worker, 0);
    return 0;
}

SEARCH callback_match_all(struct worker *worker, struct box *box, struct item *wanted)
{
    struct ao2_iterator *found;
    int any;

    lookup_begin(worker);
    HERE(worker), found = ao2_callback(box->container, OBJ_MULTIPLE, match_all, NULL);
    any = any_found(found);
    lookup_end(worker, any);
    drop_found(found);
    return any;
}

SEARCH callback_key(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;
    char *key = wanted->name;

    lookup_begin(worker);
    HERE(worker), found = ao2_callback(box->container, OBJ_SEARCH_KEY, item_compare, key);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH callback_stop(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_callback(box->container, 0, stop_at, wanted);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH callback_data(struct worker *worker, struct box *box, struct item *wanted)
{
    unsigned int calls = 0;
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_callback_data(box->container, 0, compare_with_data, wanted, &calls);
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH find_unlink(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted->name, OBJ_SEARCH_KEY | OBJ_UNLINK);
    lookup_end(worker, found != NULL);
    if (found) {
        item_link(box, found);
        ao2_ref(found, -1);
    }
    return found != NULL;
}

static int same_address(void *object, void *argument, int flags)
{
    count_call();
    return object == argument ? CMP_MATCH : 0;
}

/*
 * __ao2_unlink compares addresses by a function of Asterisk's own, which cannot count for us. So a
 * callback that compares addresses in the same way walks the same nodes first, under the same lock.
 */
static int remove_address(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_SEARCH_OBJECT | OBJ_NOLOCK;
    struct item *found;

    ao2_wrlock(box->container);
    lookup_begin(worker);
    found = ao2_callback(box->container, flags, same_address, wanted);
    lookup_end(worker, found != NULL);
    HERE(worker), ao2_unlink_flags(box->container, wanted, OBJ_NOLOCK);
    if (found) {
        ao2_link_flags(box->container, found, OBJ_NOLOCK);
    }
    ao2_unlock(box->container);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH unlink_address(struct worker *worker, struct box *box, struct item *wanted)
{
    return remove_address(worker, box, wanted);
}

/* Of the same name as an element, but not in the container. */
SEARCH unlink_twin(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *twin = item_alloc("", 0, box->weak);
    int found;

    if (!twin) {
        return 0;
    }
    ast_copy_string(twin->name, wanted->name, sizeof(twin->name));
    found = remove_address(worker, box, twin);
    ao2_ref(twin, -1);
    return found;
}

SEARCH find_locked(struct worker *worker, struct box *box, struct item *wanted)
{
    const enum search_flags flags = OBJ_SEARCH_KEY | OBJ_NOLOCK;
    struct item *found;

    ao2_rdlock(box->container);
    lookup_begin(worker);
    HERE(worker), found = ao2_find(box->container, wanted->name, flags);
    lookup_end(worker, found != NULL);
    ao2_unlock(box->container);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH find_target(struct worker *worker, struct box *box, struct item *wanted)
{
    void *found;

    lookup_begin(worker);
    HERE(worker), found = ao2_weakproxy_find(box->container, wanted->name, OBJ_SEARCH_KEY, "");
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

/* Meets a proxy whose object is gone, takes it out, and searches once more. */
SEARCH find_gone(struct worker *worker, struct box *box, struct item *wanted)
{
    struct item *proxy = item_alloc("", 0, 1);
    void *target = ao2_alloc(1, NULL);
    void *found;

    if (proxy && target) {
        ast_copy_string(proxy->name, wanted->name, sizeof(proxy->name));
        ao2_weakproxy_set_object(proxy, target, 0);
        item_link(box, proxy);
    }
    ao2_cleanup(target);
    ao2_cleanup(proxy);
    lookup_begin(worker);
    HERE(worker), found = ao2_weakproxy_find(box->container, wanted->name, OBJ_SEARCH_KEY, "");
    lookup_end(worker, found != NULL);
    ao2_cleanup(found);
    return found != NULL;
}

SEARCH iterate(struct worker *worker, struct box *box, struct item *wanted)
{
    struct ao2_iterator iterator = ao2_iterator_init(box->container, 0);
    struct item *item;

    lookup_begin(worker);
    while ((HERE(worker), item = ao2_iterator_next(&iterator))) {
        ao2_ref(item, -1);
    }
    lookup_end(worker, 0);
    ao2_iterator_destroy(&iterator);
    return 0;
}

static const struct search searches[] = {
    {"hit", "__ao2_find", find_by_key, 1, 0, 0},
    {"miss", "__ao2_find", find_by_key, 0, 0, 0},
    {"object", "__ao2_find", find_by_object, 1, 0, 0},
    {"object-miss", "__ao2_find", find_by_object, 0, 0, 0},
    {"partial", "__ao2_find", find_by_prefix, 1, 0, 0},
    {"partial-miss", "__ao2_find", find_by_prefix, 0, 0, 0},
    {"scan", "__ao2_find", scan, 1, 0, 0},
    {"scan-miss", "__ao2_find", scan, 0, 0, 0},
    {"multiple", "__ao2_find", find_multiple, 1, 0, 0},
    {"multiple-miss", "__ao2_find", find_multiple, 0, 0, 0},
    {"locked", "__ao2_find", find_locked, 1, 0, 0},
    {"locked-miss", "__ao2_find", find_locked, 0, 0, 0},
    {"callback-all", "__ao2_callback", callback_all, 1, 0, 0},
    {"callback-match-all", "__ao2_callback", callback_match_all, 1, 0, 0},
    {"callback-key", "__ao2_callback", callback_key, 1, 0, 0},
    {"callback-key-miss", "__ao2_callback", callback_key, 0, 0, 0},
    {"callback-stop", "__ao2_callback", callback_stop, 1, 0, 0},
    {"callback-data", "__ao2_callback_data", callback_data, 1, 0, 0},
    {"callback-data-miss", "__ao2_callback_data", callback_data, 0, 0, 0},
    {"unlink", "__ao2_find", find_unlink, 1, 1, 0},
    {"unlink-address", "__ao2_unlink", unlink_address, 1, 1, 0},
    {"unlink-twin", "__ao2_unlink", unlink_twin, 1, 0, 0},
    {"weak", "__ao2_weakproxy_find", find_target, 1, 0, 0},
    {"weak-miss", "__ao2_weakproxy_find", find_target, 0, 0, 0},
    {"weak-gone", "__ao2_weakproxy_find", find_gone, 0, 1, 0},
    {"iterate", "__ao2_iterator_next", iterate, 1, 0, 1},
};

const struct search *search_find(const char *name)
{
    size_t i;

    for (i = 0; i < ARRAY_LEN(searches); i++) {
        if (!strcmp(searches[i].name, name)) {
            return &searches[i];
        }
    }
    for (i = 0; order_searches[i].name; i++) {
        if (!strcmp(order_searches[i].name, name)) {
            return &order_searches[i];
        }
    }
    return NULL;
}
