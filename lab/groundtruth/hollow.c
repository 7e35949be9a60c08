/*
 * Emptied nodes: an iterator keeps the node of an element that is no longer in the container, and
 * lookups walk over it without comparing (main/astobj2_container.c).
 *
 * SPDX-License-Identifier: MIT
 */

#include "groundtruth.h"

#include "asterisk/utils.h"

/* Leave `count` emptied nodes, the first of the traversal; return how many came about. */
static int hollow_out(struct box *box, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        struct ao2_iterator *iterator = &box->iterators[i];
        struct item *item;

        *iterator = ao2_iterator_init(box->container, 0);
        /* Emptied nodes are passed over, so that the first element met is the next one. */
        item = ao2_iterator_next(iterator);
        if (!item) {
            ao2_iterator_destroy(iterator);
            break;
        }
        ao2_unlink(box->container, item);
        ao2_ref(item, -1);
    }
    box_order(box);
    return i;
}

/* groundtruth hollow NAME COUNT */
char *box_hollow(struct ast_cli_args *a)
{
    const char *reason = NULL;
    struct box *box;
    long long count;

    if (a->argc != 4) {
        return CLI_SHOWUSAGE;
    }
    if (!parse_number(a->argv[3], 1, HOLLOW_MAX, &count)) {
        return refuse(a, "number out of bounds");
    }
    box = box_get(a->argv[2]);
    if (!box) {
        return refuse(a, "no such container");
    }
    registry_lock();
    if (box->users > 1 || box->hollow) {
        reason = "the container is in use";
    } else if (!(box->iterators = ast_calloc(count, sizeof(*box->iterators)))) {
        reason = "no memory";
    } else {
        box->hollow = hollow_out(box, count);
        ast_cli(a->fd, "{\"container\": \"%s\", \"hollow\": %d, \"elements\": %d}\n", box->name,
                box->hollow, ao2_container_count(box->container));
    }
    registry_unlock();
    box_put(box);
    return reason ? refuse(a, reason) : CLI_SUCCESS;
}

/* groundtruth fill NAME: let go of the emptied nodes; their elements stay out */
char *box_fill(struct ast_cli_args *a)
{
    const char *reason = NULL;
    struct box *box;
    int i;

    if (a->argc != 3) {
        return CLI_SHOWUSAGE;
    }
    box = box_get(a->argv[2]);
    if (!box) {
        return refuse(a, "no such container");
    }
    registry_lock();
    if (box->users > 1) {
        reason = "the container is in use";
    } else {
        for (i = 0; i < box->hollow; i++) {
            ao2_iterator_destroy(&box->iterators[i]);
        }
        ast_free(box->iterators);
        box->iterators = NULL;
        box->hollow = 0;
        box_order(box);
        ast_cli(a->fd, "{\"container\": \"%s\", \"hollow\": 0, \"elements\": %d}\n", box->name,
                ao2_container_count(box->container));
    }
    registry_unlock();
    box_put(box);
    return reason ? refuse(a, reason) : CLI_SUCCESS;
}
