/*
 * Lookups whose comparators count their own calls. For each line that it reads, the program makes
 * the same lookups again and prints what all of them counted so far, one line per container.
 */
enum { ITEMS = 60, SLOTS = 4 * ITEMS };

struct counted {
    const char *kind;
    struct container *container;
    unsigned long lookups;
    unsigned long comparisons;
    unsigned long histogram[SLOTS];
};

static unsigned long calls;

/* What an executable has to export to pass for an Asterisk. */
API void *ast_taskprocessor_get(const char *name, int create)
{
    return create ? (void *)name : NULL;
}

/* Asterisk's callers are in other files, so that compilers cannot clone these for them. */
static __typeof__(__ao2_find) *volatile find = __ao2_find;
static __typeof__(__ao2_callback) *volatile call_back = __ao2_callback;
static __typeof__(__ao2_callback_data) *volatile call_back_data = __ao2_callback_data;
static __typeof__(__ao2_weakproxy_find) *volatile weakproxy_find = __ao2_weakproxy_find;

static int compare(void *object, void *argument, int flags)
{
    calls++;
    return sink += flags, object == argument ? MATCH : 0;
}

static int compare_data(void *object, void *argument, void *data, int flags)
{
    return sink += data != NULL, compare(object, argument, flags);
}

static int stop_there(void *object, void *argument, int flags)
{
    calls++;
    return sink += flags, object == argument ? STOP : 0;
}

static void ended(struct counted *counted)
{
    counted->lookups++;
    counted->comparisons += calls;
    counted->histogram[calls]++;
    calls = 0;
}

#define LOOKUP(counted, call) \
    do {                      \
        call;                 \
        ended(counted);       \
    } while (0)

static void look_up(struct counted *counted, void *wanted, unsigned search)
{
    struct container *c = counted->container;

    LOOKUP(counted, find(c, wanted, search HERE));
    LOOKUP(counted, find(c, wanted, search | NOLOCK HERE));
    LOOKUP(counted, find(c, wanted, search | MULTIPLE HERE));
    LOOKUP(counted, find(c, wanted, search | NODATA HERE));
    LOOKUP(counted, call_back(c, search, compare, wanted HERE));
    LOOKUP(counted, call_back(c, search | NODATA, stop_there, wanted HERE));
    LOOKUP(counted, call_back(c, search | MULTIPLE | NODATA, compare, wanted HERE));
    LOOKUP(counted, call_back_data(c, search, compare_data, wanted, c HERE));
    LOOKUP(counted, weakproxy_find(c, wanted, search HERE));
}

static void put(struct container *c, void *object)
{
    c->v_table->insert(c, c->v_table->create(c, object));
}

static void print(const struct counted *counted)
{
    int i;

    printf("%s %p %lu %lu", counted->kind, (void *)counted->container, counted->lookups,
           counted->comparisons);
    for (i = 0; i < SLOTS; i++) {
        if (counted->histogram[i]) {
            printf(" %d:%lu", i, counted->histogram[i]);
        }
    }
    printf("\n");
}

int main(void)
{
    static struct item {
        long room;
    } items[ITEMS + 1];
    struct counted all[] = {
        {"hash", __ao2_container_alloc_hash(compare)},
        {"list", __ao2_container_alloc_list(compare)},
        {"rbtree", __ao2_container_alloc_rbtree(compare)},
    };
    int kind, i;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (i = 0; i < ITEMS; i++) {
        for (kind = 0; kind < 3; kind++) {
            put(all[kind].container, &items[i * 37 % ITEMS]);
        }
    }
    printf("ready\n");
    while (getchar() != EOF) {
        for (i = 0; i <= ITEMS; i++) { /* the last one is in none of them */
            look_up(&all[0], &items[i], KEY);
            look_up(&all[1], &items[i], KEY);
            for (kind = 0; kind < 3; kind++) {
                look_up(&all[kind], &items[i], 0);
            }
        }
        /* Take one out by its address, so that its node is walked without being compared. */
        for (kind = 0; kind < 2; kind++) {
            find(all[kind].container, &items[3], KEY | UNLINK HERE);
            ended(&all[kind]);
            put(all[kind].container, &items[3]);
        }
        for (kind = 0; kind < 3; kind++) {
            print(&all[kind]);
        }
        printf("done\n");
    }
    return 0;
}
