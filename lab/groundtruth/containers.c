/*
 * Containers that the module makes, by name.
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

#include "asterisk/strings.h"
#include "asterisk/utils.h"

AST_MUTEX_DEFINE_STATIC(registry);
static struct box *boxes[CONTAINERS_MAX];

void registry_lock(void)
{
    ast_mutex_lock(&registry);
}

void registry_unlock(void)
{
    ast_mutex_unlock(&registry);
}

static struct box *find_box(const char *name)
{
    int i;

    for (i = 0; i < CONTAINERS_MAX; i++) {
        if (boxes[i] && !strcmp(boxes[i]->name, name)) {
            return boxes[i];
        }
    }
    return NULL;
}

/* Return the container of that name with one more user, or NULL. */
struct box *box_get(const char *name)
{
    struct box *box;

    registry_lock();
    box = find_box(name);
    if (box) {
        box->users++;
    }
    registry_unlock();
    return box;
}

void box_put(struct box *box)
{
    registry_lock();
    box->users--;
    registry_unlock();
}

static void destroy_box(struct box *box)
{
    int i;

    for (i = 0; i < box->hollow; i++) {
        ao2_iterator_destroy(&box->iterators[i]);
    }
    ast_free(box->iterators);
    for (i = 0; box->items && i < box->count; i++) {
        ao2_cleanup(box->items[i]);
    }
    ao2_cleanup(box->container);
    for (i = 0; i < box->target_count; i++) {
        ao2_ref(box->targets[i], -1);
    }
    ast_free(box->targets);
    ast_free(box->items);
    ast_free(box->places);
    ast_free(box);
}

static int note_item(void *object, void *argument, int flags)
{
    struct box *box = argument;

    if (box->count < box->capacity) {
        box->items[box->count++] = ao2_bump(object);
    }
    return 0;
}

static int chain_of(const struct box *box, const struct item *item)
{
    return box->kind == KIND_HASH ? abs(item_hash(item, OBJ_SEARCH_OBJECT)) % box->buckets : 0;
}

/* Write down the elements in traversal order, and each one's place in its chain. */
void box_order(struct box *box)
{
    int i, chain = -1, place = 0;

    for (i = 0; i < box->count; i++) {
        ao2_cleanup(box->items[i]);
        box->items[i] = NULL;
    }
    box->count = 0;
    ao2_callback(box->container, OBJ_NODATA | OBJ_MULTIPLE, note_item, box);
    for (i = 0; i < box->count; i++) {
        int own = chain_of(box, box->items[i]);

        place = own == chain ? place + 1 : 1;
        chain = own;
        box->places[i] = place;
    }
}

static struct ao2_container *alloc_container(const struct box *box, unsigned int options)
{
    switch (box->kind) {
    case KIND_HASH:
        return ao2_container_alloc_hash(box->lock, options, box->buckets, item_hash,
                                        box->sorted ? item_sort : NULL, item_compare);
    case KIND_RBTREE:
        return ao2_container_alloc_rbtree(box->lock, options, item_sort, item_compare);
    case KIND_LIST:
        return ao2_container_alloc_list(box->lock, options, box->sorted ? item_sort : NULL,
                                        item_compare);
    }
    return NULL;
}

/* Link `count` elements, `copies` of each name. Return 0 when memory ran out. */
static int fill_box(struct box *box, int count, int copies)
{
    int i;

    box->capacity = count;
    box->items = ast_calloc(count + 1, sizeof(*box->items));
    box->places = ast_calloc(count + 1, sizeof(*box->places));
    box->targets = box->weak ? ast_calloc(count + 1, sizeof(*box->targets)) : NULL;
    if (!box->items || !box->places || (box->weak && !box->targets)) {
        return 0;
    }
    for (i = 0; i < count; i++) {
        struct item *item = item_alloc("endpoint-%07u", i / copies, box->weak);

        if (!item) {
            return 0;
        }
        if (box->weak) {
            void *target = ao2_alloc(1, NULL);

            if (!target || ao2_weakproxy_set_object(item, target, 0)) {
                ao2_cleanup(target);
                ao2_ref(item, -1);
                return 0;
            }
            box->targets[box->target_count++] = target;
        }
        item_link(box, item);
        ao2_ref(item, -1);
    }
    box_order(box);
    return 1;
}

static const char *const kinds[] = {"hash", "rbtree", "list"};
static const char *const locks[] = {"mutex", "rwlock", "nolock"};
static const char *const duplicates[] = {"allow", "reject", "object", "replace"};

/* Return the place of a word in a list, 0 when none is given, -1 when it is not in the list. */
static int choose(const char *word, const char *const *words, int count)
{
    int i;

    if (!word) {
        return 0;
    }
    for (i = 0; i < count; i++) {
        if (!strcmp(word, words[i])) {
            return i;
        }
    }
    return -1;
}

static void print_box(struct ast_cli_args *a, const struct box *box)
{
    ast_cli(a->fd,
            "{\"container\": \"%s\", \"address\": \"%p\", \"kind\": \"%s\", "
            "\"sorted\": %s, \"buckets\": %d, \"elements\": %d, \"hollow\": %d, "
            "\"lock\": \"%s\", \"weak\": %s}\n",
            box->name, box->container, kinds[box->kind], box->sorted ? "true" : "false",
            box->buckets, ao2_container_count(box->container), box->hollow, locks[box->lock],
            box->weak ? "true" : "false");
}

static const char *read_box(struct ast_cli_args *a, struct box *box, unsigned int *options,
                            long long *count, long long *copies)
{
    static const char *const keys[] = {"sorted", "lock", "insert", "duplicates",
                                       "copies", "weak", NULL};
    static const char *const ends[] = {"end", "begin"};
    static const char *const truths[] = {"no", "yes"};
    int kind, lock, order, dups, sorted, weak;
    long long buckets;

    *copies = 1;
    kind = choose(a->argv[3], kinds, ARRAY_LEN(kinds));
    lock = choose(option(a, 6, "lock"), locks, ARRAY_LEN(locks));
    order = choose(option(a, 6, "insert"), ends, ARRAY_LEN(ends));
    dups = choose(option(a, 6, "duplicates"), duplicates, ARRAY_LEN(duplicates));
    sorted = choose(option(a, 6, "sorted"), truths, ARRAY_LEN(truths));
    weak = choose(option(a, 6, "weak"), truths, ARRAY_LEN(truths));
    if (unknown_option(a, 6, keys) || kind < 0 || lock < 0 || order < 0 || dups < 0 || sorted < 0 ||
        weak < 0) {
        return "no such kind or option";
    }
    if (!parse_number(a->argv[4], 1, BUCKETS_MAX, &buckets) ||
        !parse_number(a->argv[5], 0, ELEMENTS_MAX, count) ||
        !option_number(a, 6, "copies", 1, ELEMENTS_MAX, copies)) {
        return "number out of bounds";
    }
    box->kind = kind;
    box->lock = lock;
    box->sorted = sorted || kind == KIND_RBTREE;
    box->weak = weak;
    box->buckets = kind == KIND_HASH ? buckets : 1;
    *options = (order ? AO2_CONTAINER_ALLOC_OPT_INSERT_BEGIN : 0) | (dups << 1);
    return NULL;
}

/* groundtruth make NAME KIND BUCKETS ELEMENTS [KEY=VALUE ...] */
char *box_make(struct ast_cli_args *a)
{
    const char *reason = NULL;
    unsigned int options;
    long long count, copies;
    struct box *box;
    int i;

    if (a->argc < 6) {
        return CLI_SHOWUSAGE;
    }
    box = ast_calloc(1, sizeof(*box));
    if (!box) {
        return refuse(a, "no memory");
    }
    ast_copy_string(box->name, a->argv[2], sizeof(box->name));
    reason = read_box(a, box, &options, &count, &copies);
    if (!reason) {
        box->container = alloc_container(box, options);
        if (!box->container || !fill_box(box, count, copies)) {
            reason = "no memory";
        }
    }
    registry_lock();
    for (i = 0; !reason && i < CONTAINERS_MAX && boxes[i]; i++) {
        continue;
    }
    if (!reason && find_box(box->name)) {
        reason = "there is a container of that name";
    } else if (!reason && i == CONTAINERS_MAX) {
        reason = "too many containers";
    } else if (!reason) {
        boxes[i] = box;
        print_box(a, box);
    }
    registry_unlock();
    if (reason) {
        destroy_box(box);
        return refuse(a, reason);
    }
    return CLI_SUCCESS;
}

/* Take a container out of the registry, unless something uses it. Holds the registry's lock. */
static struct box *take_unused(int i)
{
    struct box *box = boxes[i];

    if (!box || box->users) {
        return NULL;
    }
    boxes[i] = NULL;
    return box;
}

/* groundtruth free NAME */
char *box_free(struct ast_cli_args *a)
{
    struct box *box = NULL;
    int i;

    if (a->argc != 3) {
        return CLI_SHOWUSAGE;
    }
    registry_lock();
    for (i = 0; i < CONTAINERS_MAX && !box; i++) {
        if (boxes[i] && !strcmp(boxes[i]->name, a->argv[2])) {
            box = take_unused(i);
        }
    }
    registry_unlock();
    if (!box) {
        return refuse(a, "no such container, or it is in use");
    }
    ast_cli(a->fd, "{\"freed\": \"%s\"}\n", box->name);
    destroy_box(box);
    return CLI_SUCCESS;
}

/* groundtruth list */
char *box_list(struct ast_cli_args *a)
{
    int i;

    registry_lock();
    for (i = 0; i < CONTAINERS_MAX; i++) {
        if (boxes[i]) {
            print_box(a, boxes[i]);
        }
    }
    registry_unlock();
    return CLI_SUCCESS;
}

/* Free every container; return whether none was in use. */
int boxes_free(void)
{
    int i, unused = 1;

    registry_lock();
    for (i = 0; i < CONTAINERS_MAX; i++) {
        struct box *box = boxes[i] ? take_unused(i) : NULL;

        if (box) {
            destroy_box(box);
        }
        unused = unused && !boxes[i];
    }
    registry_unlock();
    return unused;
}
