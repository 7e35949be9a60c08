/* Functions that a stripped module would have, some of them hard to name. */
#include "pbx.h"

static volatile int count;
static void *state;

/* Takes room, so that what follows is late in its function. */
ALWAYS_INLINE void take_room(int value)
{
    for (int i = 0; i < 100; i++) {
        count += value;
        count ^= i;
        count *= 7;
        count -= count >> 3;
    }
}

/* Its name is passed from here alone, and early. */
static int request_cb(void *object, void *argument)
{
    log("requested");
    count += object == argument;
    return count;
}

/* Says nothing, and is not to be named after what is inlined into its end. */
ALWAYS_INLINE void late_report(void)
{
    log("at the end");
}

static int silent_outer(void *object, void *argument)
{
    take_room(object == argument);
    if (count & 1) {
        late_report();
    }
    return count;
}

/* Inlined into two functions, of which one is silent. */
ALWAYS_INLINE void shared_part(void)
{
    log("shared");
}

static int first_user(void *object, void *argument)
{
    shared_part();
    return count += object == argument;
}

static int second_user_cb(void *object, void *argument)
{
    log("mine");
    shared_part();
    log("mine too");
    return count += object != argument;
}

/* Inlined once; the outer one is last in the source and encloses it. */
ALWAYS_INLINE void inner_step(void)
{
    log("inner");
}

static int outer_handler(void *object, void *argument)
{
    lock(object);
    inner_step();
    log("outer");
    return count += object == argument;
}

/* Inlined into a silent callback, and exported as well. */
void exported_part(void)
{
    log("exported");
}

static int wraps_exported_cb(void *object, void *argument)
{
    ast_log(1, __FILE__, __LINE__, "exported_part", "as if it were inlined");
    return count += object == argument;
}

/* Passes a name from a header, as inline functions of headers do. */
static int header_user_cb(void *object, void *argument)
{
    ast_log(1, "include/asterisk/strings.h", 1028, "header_user_cb", "x");
    return count += object == argument;
}

/* Has an inline function of a header in front of its own call. */
static int header_first_cb(void *object, void *argument)
{
    ast_log(1, "include/asterisk/strings.h", 1028, "ast_str_set_va", "x");
    log("mine");
    return count += object == argument;
}

/* Passes names from two source files. */
static int two_files_cb(void *object, void *argument)
{
    ast_log(1, "one.c", 30, "two_files_cb", "x");
    ast_log(1, "two.c", 20, "another_cb", "x");
    ast_log(1, "one.c", 31, "two_files_cb", "x");
    return count += object == argument;
}

/* The inlined function comes later in the source, but lies inside. */
static int early_in_source_cb(void *object, void *argument)
{
    ast_log(1, "module.c", 30, "early_in_source_cb", "x");
    ast_log(1, "module.c", 999, "later_in_source_cb", "x");
    ast_log(1, "module.c", 31, "early_in_source_cb", "x");
    return count += object == argument;
}

/* As a command does whose completion was inlined. */
static int show_peers(void *object, void *argument)
{
    ast_log(1, "module.c", 30, "complete_peer_cb", "x");
    return count += object == argument;
}

/* Shows a callback's name, but at its very end. */
static int late_callback(void *object, void *argument)
{
    take_room(object == argument);
    take_room(object != argument);
    take_room(count);
    ast_log(1, "module.c", 30, "inlined_at_the_end_cb", "x");
    return 0;
}

__attribute__((noipa)) void silent_part(int value);
void silent_part(int value)
{
    count -= value;
}

/* Does much before it shows a name that begins like a callback's. */
static int busy_callback(void *object, void *argument)
{
    void (*volatile keep)(int) = silent_part;
    silent_part(1);
    silent_part(2);
    silent_part(3);
    silent_part(4);
    silent_part(5);
    silent_part(6);
    silent_part(7);
    silent_part(8);
    ast_log(1, "module.c", 30, "handle_behind_it", "x");
    for (int i = 0; i < 100; i++) {
        count += object == argument;
        count ^= i;
        count *= 7;
        keep(i);
    }
    return count;
}

/* Not taken; its name comes in its second half, in one line, and after a silent call. */
static NEVER_INLINE int plain_and_late(int value)
{
    take_room(value);
    silent_part(value);
    take_room(-value);
    log("late");
    take_room(value);
    return count;
}

/* The same without the silent call, and the same in four lines. */
static NEVER_INLINE int plain_and_straight(int value)
{
    take_room(value);
    take_room(-value);
    log("late");
    take_room(value);
    return count;
}

static NEVER_INLINE int plain_and_talkative(int value)
{
    take_room(value);
    silent_part(value);
    take_room(-value);
    log("one");
    log("two");
    log("three");
    log("four");
    take_room(value);
    return count;
}

/* Says nothing; two others are inlined into it, one after the other. */
/* Calls much else before it shows its name, but shows it soon and in many lines. */
static int talkative_session(void *object, void *argument)
{
    silent_part(1);
    silent_part(2);
    silent_part(3);
    silent_part(4);
    silent_part(5);
    log("1");
    log("2");
    log("3");
    log("4");
    log("5");
    log("6");
    log("7");
    log("8");
    return count += object == argument;
}

static int two_steps(void *object, void *argument)
{
    ast_log(1, "module.c", 30, "first_step_cb", "x");
    ast_log(1, "module.c", 40, "second_step_cb", "x");
    return count += object == argument;
}

__attribute__((cold, noipa)) void fail(int value);
void fail(int value)
{
    count = value;
}

/* The compiler moves a part of it away, which passes the name as well. */
static int split_cb(void *object, void *argument)
{
    if (object == argument) {
        fail(count);
        log("failed");
        return -1;
    }
    log("mine");
    return ++count;
}

/* The end of what is inlined comes behind its own. */
static int outer_first_cb(void *object, void *argument)
{
    ast_log(1, "module.c", 50, "outer_first_cb", "x");
    ast_log(1, "module.c", 30, "inlined_behind", "x");
    return count += object == argument;
}

/* A part of an exported function, as the compiler makes them, and what lies behind one. */
static NEVER_INLINE int part_of_whole(int value)
{
    ast_log(1, "module.c", 30, "whole", "x");
    return count += value;
}

static NEVER_INLINE int _behind(int value)
{
    ast_log(1, "module.c", 40, "inlined_before_it", "x");
    ast_log(1, "module.c", 30, "_behind", "x");
    return count -= value;
}

int whole(int value);
int whole(int value)
{
    return part_of_whole(value) + part_of_whole(value + 1);
}

int behind(int value);
int behind(int value)
{
    return _behind(value) + _behind(value + 1);
}

/* Address taken, no callback by its name, and named late. */
static int surprising(void *object, void *argument)
{
    take_room(object == argument);
    log("surprise");
    take_room(object != argument);
    return count;
}

/* Not taken: called from two places. */
static NEVER_INLINE int plain_helper(int value)
{
    if (value > 3) {
        log("large");
    }
    return count += value;
}

static void *do_monitor(void *data)
{
    count += data != 0;
    return state;
}

static int peer_hash_cb(void *object, void *argument)
{
    return count ^= object == argument;
}

static int peer_sort_cb(void *object, void *argument)
{
    return count -= object == argument;
}

static int peer_cmp_cb(void *object, void *argument)
{
    return count *= (object == argument) + 3;
}

static int load_module(void)
{
    state = container(563, peer_hash_cb, peer_sort_cb, peer_cmp_cb);
    return start_thread(do_monitor) + plain_helper(count);
}

static int unload_module(void)
{
    int sum = plain_and_straight(count) + plain_and_straight(count + 3);
    sum += plain_and_talkative(count) + plain_and_talkative(count + 3);
    return sum + plain_helper(count * 2) + plain_and_late(count) + plain_and_late(count + 3);
}

callback table[] = {
    request_cb,        silent_outer,   first_user,        second_user_cb, outer_handler,
    wraps_exported_cb, header_user_cb, header_first_cb,   two_files_cb,   early_in_source_cb,
    show_peers,        late_callback,  busy_callback,     surprising,     two_steps,
    outer_first_cb,    split_cb,       talkative_session,
};

static struct ast_module_info info = {
    .load = load_module,
    .unload = unload_module,
    .name = "module",
};

static __attribute__((constructor)) void register_module(void)
{
    ast_module_register(&info);
}
