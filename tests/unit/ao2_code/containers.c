/*
 * A small container library with the shape of Asterisk's ao2: the same exported names and call
 * structure, so that the analysis of instructions can be tested on what every compiler option makes
 * of it. It runs all its exported functions and prints where from the releases and unlocks came, and
 * where to a method returned that found no node.
 *
 * ASTERISK_13: the older family, with other arguments, one more method and a shorter header.
 * AO2_DEBUG: containers and their buckets have more members.
 * COUNTED: another main function, which counts what its own lookups compare (counted.h).
 * INLINE_REMOVAL: nodes are taken out by code inside the traversal.
 */
#include <alloca.h>
#include <stddef.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNLINK = 1, NODATA = 2, MULTIPLE = 4, NOLOCK = 0x10, KEY = 0x40, SEARCH_MASK = 0xe0 };
enum { MATCH = 1, STOP = 2 };
enum { LOCK_MUTEX = 1, LOCK_WRITE = 2 };

typedef int (*callback)(void *object, void *argument, int flags);
typedef int (*callback_data)(void *object, void *argument, void *data, int flags);

struct container;

struct node {
    void *object; /* NULL: emptied */
    struct container *mine;
    long links;
    union {
        struct {
            struct node *next;
            struct node *previous;
            int bucket;
        };
        struct {
            struct node *parent;
            struct node *left;
            struct node *right;
        };
    };
};

struct state {
    callback sort;
    void *argument;
    int bucket_first;
    int bucket_last;
    unsigned flags;
    unsigned descending;
    char room[80];
};

struct methods {
    void (*destroy)(struct container *self);
    struct container *(*clone)(struct container *self);
#ifdef ASTERISK_13
    struct container *(*clone_debug)(struct container *self, const char *tag);
#endif
    struct node *(*create)(struct container *self, void *object);
    int (*insert)(struct container *self, struct node *node);
    struct node *(*first)(struct container *self, unsigned flags, void *argument,
                          struct state *state);
    struct node *(*next)(struct container *self, struct state *state, struct node *previous);
    void (*cleanup)(struct state *state);
    struct node *(*step)(struct container *self, struct node *node);
};

struct bucket {
    struct node *first;
    struct node *last;
#ifdef AO2_DEBUG
    int elements;
    int max_elements;
#endif
};

struct container {
    const struct methods *v_table;
    callback sort;
    callback compare;
    unsigned options;
    int elements;
#ifdef AO2_DEBUG
    int nodes;
    int max_empty_nodes;
#endif
    unsigned destroying : 1;
    union {
        struct {
            int (*hash)(const void *object, int flags);
            int n_buckets;
            struct bucket buckets[7];
        };
        struct node *root;
    };
};

/* What stands before every object. */
struct header {
    void *destructor;
#ifndef ASTERISK_13
    void *weak;
#ifdef AO2_DEBUG
    long data_size;
#endif
#endif
    int references;
    unsigned magic;
};

struct allocated {
    pthread_mutex_t lock;
    struct header header;
    struct container container;
};

/* SITE: the parameters by which a call tells its place, HERE and PASS: arguments for them. */
#ifdef ASTERISK_13
enum { MAGIC_SHIFT = 2 };
#define SITE
#define HERE
#define PASS
#define USE_SITE 0
#else
enum { MAGIC_SHIFT = 4 };
#define SITE     , const char *tag, const char *file, int line, const char *function
#define HERE     , NULL, __FILE__, __LINE__, __func__
#define PASS     , tag, file, line, function
#define USE_SITE (line + (tag != NULL) + (file == function))
#endif

extern char __executable_start[];

static volatile int sink;

static pthread_mutex_t *lock_of(struct container *c)
{
    return &((struct allocated *)((char *)c - offsetof(struct allocated, container)))->lock;
}

static void tell(const char *what, void *from)
{
#ifdef COUNTED
    return;
#endif
    printf("%s %lx\n", what, (unsigned long)((char *)from - __executable_start));
}

/* Not to be inlined: Asterisk has these in another file. */
#define API __attribute__((noinline, visibility("default")))
#define FAR __attribute__((noipa))

FAR API int __ao2_ref(void *object, int delta SITE)
{
    struct node *node = object;
    if (delta < 0 && node->links != 77) {
        tell("release", __builtin_return_address(0));
    }
    return sink += delta + USE_SITE;
}
#define REF(o, d) __ao2_ref(o, d HERE)

FAR API int __ao2_lock(void *object, int how, const char *file, const char *function, int line,
                       const char *name)
{
    sink += how + line + (file == function) + (name != NULL);
    return pthread_mutex_lock(lock_of(object));
}

FAR API int __ao2_unlock(void *object, const char *file, const char *function, int line,
                         const char *name)
{
    tell("unlock", __builtin_return_address(0));
    sink += line + (file == function) + (name != NULL);
    return pthread_mutex_unlock(lock_of(object));
}

FAR static int is_object(void *object)
{
    return object != NULL;
}

FAR static int adjust_lock(void *object, int how, int keep)
{
    return sink += how + keep + (object != NULL);
}

FAR static void *make_list(void)
{
    struct node *list = calloc(1, 256);
    list->links = 77; /* other than those of a node of the container */
    return list;
}

#ifdef INLINE_REMOVAL
/* As compilers may inline the unlinking of a node: it drops a reference inside the traversal's loop. */
static struct node spare = {.links = 77};
__attribute__((always_inline)) static inline void remove_node(struct node *node)
{
    REF(&spare, -1);
    node->object = NULL;
    node->mine->elements--;
    REF(&spare, -1);
}
#else
FAR static void remove_node(struct node *node)
{
    node->object = NULL;
    node->mine->elements--;
}
#endif

static int match_all(void *object, void *argument, int flags)
{
    return sink += (object == argument) + flags, MATCH;
}

static int match_all_data(void *object, void *argument, void *data, int flags)
{
    return sink += (object == argument) + (data != NULL) + flags, MATCH;
}

FAR API int ao2_match_by_addr(void *object, void *argument, int flags)
{
    sink += flags;
    return object == argument ? MATCH | STOP : 0;
}

struct walk {
    void *list;
    unsigned flags;
};

static void *internal_ao2_traverse(struct container *self, unsigned flags, void *with,
                                   void *argument, void *data, int has_data SITE)
{
    void *found = NULL, *list = NULL;
    struct walk *walk = NULL;
    struct node *node;
    struct state *state;
    callback sort;
    int how;

    if (!is_object(self)) {
        return NULL;
    }
    if (!self->v_table || !self->v_table->first || !self->v_table->next) {
        abort();
    }
    if ((flags & (MULTIPLE | NODATA)) == MULTIPLE) {
        list = make_list();
        if (!list) {
            return NULL;
        }
        walk = calloc(1, sizeof(*walk));
        if (!walk) {
            REF(list, -1);
            return NULL;
        }
    }
    if (!with) {
        with = has_data ? (void *)match_all_data : (void *)match_all;
    }
    if (flags & NOLOCK) {
        how = adjust_lock(self, flags & UNLINK ? LOCK_WRITE : LOCK_MUTEX, 1);
    } else {
        how = 0;
        __ao2_lock(self, flags & UNLINK ? LOCK_WRITE : LOCK_MUTEX, __FILE__, __func__, __LINE__,
                   "self");
    }
    /* The lowest of the stack: what a return probe would take for a return address. */
    state = alloca(sizeof(*state));
    node = self->v_table->first(self, flags, argument, state);
    for (; node; node = self->v_table->next(self, state, node)) {
        int match = has_data ? ((callback_data)with)(node->object, argument, data, (int)flags)
                             : ((callback)with)(node->object, argument, (int)flags);
        match &= MATCH | STOP;
        if (match == 0) {
            continue;
        }
        if (match == STOP) {
            break;
        }
        if (node->object) {
            if (!(flags & NODATA)) {
                if (list) {
                    REF(node->object, 2);
                } else {
                    found = node->object;
                    REF(found, 1);
                }
            }
            if (flags & UNLINK) {
                remove_node(node);
            }
        }
        if ((match & STOP) || !(flags & MULTIPLE)) {
            break;
        }
    }
    sort = state->sort;
    if (self->v_table->cleanup) {
        self->v_table->cleanup(state);
    }
    if (node) {
        REF(node, -1);
    }
    if (flags & NOLOCK) {
        adjust_lock(self, how, 0);
    } else {
        __ao2_unlock(self, __FILE__, __func__, __LINE__, "self");
    }
    if (state->sort != sort) {
        abort();
    }
    if (list) {
        REF(list, 1);
        walk->list = list;
        walk->flags = UNLINK;
        REF(list, -1);
        return walk;
    }
    sink += USE_SITE;
    return found;
}

API void *__ao2_callback(struct container *c, unsigned flags, callback with, void *argument SITE)
{
    return internal_ao2_traverse(c, flags, with, argument, NULL, 0 PASS);
}

API void *__ao2_callback_data(struct container *c, unsigned flags, callback_data with,
                              void *argument, void *data SITE)
{
    return internal_ao2_traverse(c, flags, with, argument, data, 1 PASS);
}

#ifdef ASTERISK_13
API void *__ao2_find_debug(struct container *c, void *argument, unsigned flags, const char *tag,
                           const char *file, int line, const char *function)
{
    sink += line + (tag == file) + (function != NULL);
    return c ? internal_ao2_traverse(c, flags, c->compare, argument, NULL, 0) : NULL;
}
#endif

API void *__ao2_find(struct container *c, void *argument, unsigned flags SITE)
{
    return c ? __ao2_callback(c, flags, c->compare, argument PASS) : NULL;
}

API void *__ao2_unlink(struct container *c, void *object, unsigned flags SITE)
{
    if (!is_object(object)) {
        return NULL;
    }
    flags &= ~(MULTIPLE | NODATA);
    __ao2_callback(c, flags | UNLINK | KEY | NODATA, ao2_match_by_addr, object PASS);
    return NULL;
}

API void *__ao2_weakproxy_find(struct container *c, void *argument, unsigned flags SITE)
{
    void *proxy = __ao2_find(c, argument, flags PASS);
    return is_object(proxy) ? proxy : NULL;
}

static void hash_destroy(struct container *self)
{
    free(self);
}

static struct container *hash_clone(struct container *self)
{
    return sink++, self;
}

static struct node *hash_create(struct container *self, void *object)
{
    struct node *node = calloc(1, sizeof(*node));
    node->object = object;
    node->mine = self;
    return node;
}

static int hash_insert(struct container *self, struct node *node)
{
    struct bucket *bucket;

    node->bucket = self->hash(node->object, 0) % self->n_buckets;
    bucket = &self->buckets[node->bucket];
    node->previous = bucket->last;
    if (bucket->last) {
        bucket->last->next = node;
    } else {
        bucket->first = node;
    }
    bucket->last = node;
    return ++self->elements;
}

static struct node *full_node(struct container *self, struct node *node, int bucket, int last)
{
    for (;;) {
        for (; node; node = node->next) {
            if (node->object) {
                return node;
            }
        }
        if (++bucket > last) {
            return NULL;
        }
        node = self->buckets[bucket].first;
    }
}

/* Called by the methods whose NULL ends a traversal. */
static struct node *reported(struct node *node, void *from)
{
    if (!node) {
        tell("exhausted", from);
    }
    return node;
}

static struct node *hash_first(struct container *self, unsigned flags, void *argument,
                               struct state *state)
{
    memset(state, 0, sizeof(*state));
    state->argument = argument;
    state->flags = flags;
    state->bucket_last = self->n_buckets - 1;
    if ((flags & SEARCH_MASK) == KEY) {
        state->bucket_first = state->bucket_last =
            self->hash(argument, (int)flags) % self->n_buckets;
    }
    return reported(full_node(self, NULL, state->bucket_first - 1, state->bucket_last),
                    __builtin_return_address(0));
}

static struct node *hash_next(struct container *self, struct state *state, struct node *previous)
{
    return reported(full_node(self, previous->next, previous->bucket, state->bucket_last),
                    __builtin_return_address(0));
}

static struct node *hash_step(struct container *self, struct node *node)
{
    return node ? node->next : self->buckets[0].first;
}

static int tree_insert(struct container *self, struct node *node)
{
    struct node **place = &self->root;

    while (*place) {
        node->parent = *place;
        place = node->object < (*place)->object ? &(*place)->left : &(*place)->right;
    }
    *place = node;
    return ++self->elements;
}

static struct node *leftmost(struct node *node)
{
    while (node && node->left) {
        node = node->left;
    }
    return node;
}

static struct node *tree_following(struct node *node)
{
    if (node->right) {
        return leftmost(node->right);
    }
    while (node->parent && node == node->parent->right) {
        node = node->parent;
    }
    return node->parent;
}

static struct node *tree_first(struct container *self, unsigned flags, void *argument,
                               struct state *state)
{
    state->sort = self->sort;
    state->flags = flags;
    state->argument = argument;
    return reported(leftmost(self->root), __builtin_return_address(0));
}

static struct node *tree_next(struct container *self, struct state *state, struct node *previous)
{
    sink -= self->elements;
    state->sort = NULL;
    return reported(tree_following(previous), __builtin_return_address(0));
}

#ifdef ASTERISK_13
static struct container *clone_debug(struct container *self, const char *tag)
{
    return sink += tag != NULL, self;
}
#define DEBUG_CLONE .clone_debug = clone_debug,
#else
#define DEBUG_CLONE
#endif

#define METHODS(kind)                                                                           \
    {                                                                                           \
        .destroy = hash_destroy, .clone = hash_clone, DEBUG_CLONE.create = hash_create,         \
        .insert = kind##_insert, .first = kind##_first, .next = kind##_next, .step = hash_step, \
    }
static const struct methods v_table_hash = METHODS(hash);
static const struct methods v_table_rbtree = METHODS(tree);

static int hash_of(const void *object, int flags)
{
    sink += flags;
    return (int)((unsigned long)object / 8 % 1009);
}

static int hash_zero(const void *object, int flags)
{
    sink += flags + (object != NULL);
    return 0;
}

static struct container *alloc_container(const struct methods *methods, callback compare)
{
    struct allocated *made = calloc(1, sizeof(*made));

    made->header.references = 1;
    made->header.magic = 0xa70b123u << MAGIC_SHIFT;
    made->container.v_table = methods;
    made->container.compare = compare;
    pthread_mutex_init(&made->lock, NULL);
    return &made->container;
}

API struct container *__ao2_container_alloc_hash(callback compare)
{
    struct container *c = alloc_container(&v_table_hash, compare);

    c->hash = hash_of;
    c->n_buckets = 7;
    return c;
}

API struct container *__ao2_container_alloc_list(callback compare)
{
    struct container *c = __ao2_container_alloc_hash(compare);

    c->hash = hash_zero;
    c->n_buckets = 1;
    return c;
}

API struct container *__ao2_container_alloc_rbtree(callback compare)
{
    return alloc_container(&v_table_rbtree, compare);
}

#ifdef COUNTED
#include "counted.h"
#else
static int compare(void *object, void *argument, int flags)
{
    return sink += flags, object == argument ? MATCH | STOP : 0;
}

static int compare_data(void *object, void *argument, void *data, int flags)
{
    return sink += data != NULL, compare(object, argument, flags);
}

static void look_up(struct container *c, callback with, void *wanted, unsigned mode)
{
    __ao2_find(c, wanted, mode HERE);
    __ao2_callback(c, mode, with, wanted HERE);
    __ao2_callback_data(c, mode, compare_data, wanted, c HERE);
}

/* With an argument: after a byte was read, so that probes can be placed before. */
int main(int argc, char **argv)
{
    static char objects[5];
    struct container *c = __ao2_container_alloc_hash(compare);
    struct container *tree = __ao2_container_alloc_rbtree(compare);
    static const unsigned modes[] = {KEY, KEY | NOLOCK, KEY | MULTIPLE, KEY | NODATA,
                                     KEY | MULTIPLE | NODATA};
    int i;

    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        sink += getchar() + argv[1][0];
    }
    for (i = 0; i < 5; i++) {
        c->v_table->insert(c, c->v_table->create(c, &objects[i]));
    }
    for (i = 0; i < 10; i++) {
        void *wanted = i < 5 ? &objects[2] : NULL;
        callback with = i & 1 ? compare : NULL;
        look_up(c, with, wanted, modes[i % 5]);
        __ao2_weakproxy_find(c, wanted, modes[i % 5] HERE);
        look_up(tree, with, wanted, modes[i % 5]);
    }
    __ao2_find(c, &objects[1], KEY | UNLINK HERE);
    __ao2_callback_data(c, KEY | UNLINK, NULL, &objects[4], c HERE);
    __ao2_unlink(c, &objects[0], 0 HERE);
    __ao2_unlink(c, &objects[0], NOLOCK HERE);
    tree->v_table->insert(tree, tree->v_table->create(tree, &objects[3]));
    for (i = 0; i < 10; i++) {
        look_up(tree, compare, i < 5 ? &objects[3] : NULL, modes[i % 5]);
    }
    return 0;
}
#endif
