/* Stands for the executable: defines and exports what pbx.h declares. */
#include "pbx.h"

static volatile int sink;

void ast_log(int level, const char *file, int line, const char *function, const char *text)
{
    sink += level + line + file[0] + function[0] + text[0];
}

int __ao2_lock(void *object, int how, const char *file, const char *function, int line,
               const char *name)
{
    return sink += how + line + file[0] + function[0] + name[0] + (object != 0);
}

int ast_pthread_create_stack(void *thread, void *attributes, routine start, void *data,
                             unsigned long stack_bytes, const char *file, const char *caller,
                             int line, const char *start_name)
{
    sink += (thread == attributes) + (int)stack_bytes + line + file[0] + caller[0] + start_name[0];
    return start(data) != 0;
}

void *__ao2_container_alloc_hash(unsigned int object_options, unsigned int options,
                                 unsigned int buckets, callback hash, callback sort,
                                 callback compare, const char *tag, const char *file, int line,
                                 const char *function)
{
    sink += object_options + options + buckets + line + file[0] + function[0] + (tag != 0);
    sink += (hash != 0) + (sort != 0) + (compare != 0);
    return (void *)&sink;
}

void ast_module_register(const struct ast_module_info *info)
{
    sink += info->load != 0;
}
