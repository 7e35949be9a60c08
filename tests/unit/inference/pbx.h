/* The part of Asterisk's interface that inference looks at: who calls, from which file and line. */
#define NEVER_INLINE  __attribute__((noinline))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef int (*callback)(void *object, void *argument);
typedef void *(*routine)(void *data);

struct ast_module_info {
    void *self;
    int (*load)(void);
    int (*reload)(void);
    int (*unload)(void);
    const char *name;
};

void ast_log(int level, const char *file, int line, const char *function, const char *text);
int __ao2_lock(void *object, int how, const char *file, const char *function, int line,
               const char *name);
int ast_pthread_create_stack(void *thread, void *attributes, routine start, void *data,
                             unsigned long stack_bytes, const char *file, const char *caller,
                             int line, const char *start_name);
void *__ao2_container_alloc_hash(unsigned int object_options, unsigned int options,
                                 unsigned int buckets, callback hash, callback sort,
                                 callback compare, const char *tag, const char *file, int line,
                                 const char *function);
void ast_module_register(const struct ast_module_info *info);

#define log(text)    ast_log(1, __FILE__, __LINE__, __func__, text)
#define lock(object) __ao2_lock(object, 0, __FILE__, __func__, __LINE__, "object")
#define start_thread(start) \
    ast_pthread_create_stack(0, 0, start, 0, 0, __FILE__, __func__, __LINE__, #start)
#define container(buckets, hash, sort, compare) \
    __ao2_container_alloc_hash(0, 0, buckets, hash, sort, compare, 0, __FILE__, __LINE__, __func__)
