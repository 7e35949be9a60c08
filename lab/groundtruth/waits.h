/*
 * Threads that wait, shared by waits.c (which begins, tells and ends a scene), wait_scenes.c (who waits
 * for whom in it) and wait_threads.c (how they do).
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef GROUNDTRUTH_WAITS_H
#define GROUNDTRUTH_WAITS_H

#include "groundtruth.h"

#define ACTORS_MAX 64
#define LOCKS_MAX  16
/* Ends a timed lock before its time; Asterisk has no use for it. */
#define GIVE_UP_SIGNAL SIGPROF

enum lock_kind { LOCK_MUTEX, LOCK_OBJECT, LOCK_RWLOCK, LOCK_OBJECT_RWLOCK };

/* One lock: of its own, or of an ao2 object. */
struct wait_lock {
    enum lock_kind kind;
    ast_mutex_t mutex;
    ast_rwlock_t rwlock;
    void *object;
};

/* How a thread takes a lock. Readers are many, and the lock does not keep who they are. */
enum mode { MODE_NONE, MODE_READ, MODE_WRITE, MODE_TIMED };

/* What a thread does that waits for no lock. */
enum rest { REST_CONDITION, REST_TIMED_CONDITION, REST_SLEEP, REST_POLL, REST_READ, REST_SPIN };

/* A thread: first it takes `has`, then it waits for `wants`, or else rests. */
struct actor {
    pthread_t thread;
    int tid;
    struct wait_lock *has;
    enum mode has_mode;
    int times;
    struct wait_lock *wants;
    enum mode wants_mode;
    enum rest rest;
    long long seconds;
    /* The function of wait_threads.c that it waits in. */
    const char *function;
    int timed_out;
    int done;
};

/* What a scene is made of; each is an option of the command. */
struct wish {
    long long threads;
    long long seconds;
    long long times;
    long long behind;
    enum rest rest;
    /* Locks alternate between these two kinds. */
    int kinds[2];
};

extern struct actor actors[ACTORS_MAX];
extern struct wait_lock locks[LOCKS_MAX];
extern int actor_count, lock_count;

/* Threads that took their first lock; those that went on from there. */
extern int wait_ready, wait_begun;

/* Return 0 where there is no memory. */
int scene_make(const char *name, const struct wish *wish);
int scene_kinds(struct ast_cli_args *a, int kinds[2]);
int scene_is_possible(const char *name, const struct wish *wish);

/* Takes a struct actor. */
void *actor_thread(void *actor);
const char *rest_name(enum rest rest);
int rest_find(const char *name);
/* Let those go that wait for `has` of all to be taken; end what rests. */
void actors_go(void);
void actors_release(void);
void actors_prepare(void);
/* The lock as pthread functions take it. */
const void *wait_lock_address(const struct wait_lock *lock);

#endif
