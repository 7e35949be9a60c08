/* A library that the target loads while it is watched. */
__attribute__((noinline)) static int inner(int (*callback)(int), int value)
{
    volatile int local[5000];
    local[value] = value;
    return callback(value) + local[value];
}

int call_later(int (*callback)(int), int value)
{
    return inner(callback, value) + 1;
}
