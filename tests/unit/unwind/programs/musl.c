/* Goes through as much of a C library as it can. */
#define _GNU_SOURCE
#include <glob.h>
#include <locale.h>
#include <math.h>
#include <netdb.h>
#include <pthread.h>
#include <regex.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static char from[5000], to[5000], text[999];
static jmp_buf place;

static int compare(const void *one, const void *other)
{
    return *(const int *)one - *(const int *)other;
}

static int compare_pointers(const void *one, const void *other)
{
    return one < other ? -1 : one > other;
}

static void memory(int round)
{
    void *parts[99], *root = NULL;
    int values[50];
    memcpy(to, from, sizeof(to) - round % 64);
    memmove(to + 1, to, 3000);
    memset(from, round, 4000);
    for (int i = 0; i < 50; i++)
        values[i] = rand();
    qsort(values, 50, sizeof(int), compare);
    bsearch(values, values, 50, sizeof(int), compare);
    for (int i = 0; i < 99; i++)
        parts[i] = malloc(i * 99 + 1);
    for (int i = 0; i < 99; i += 2)
        parts[i] = realloc(parts[i], i * 200 + 9);
    for (int i = 0; i < 99; i++)
        free(parts[i]);
    for (long i = 0; i < 30; i++)
        tsearch((void *)(i * 7 % 31), &root, compare_pointers);
}

static void texts(int round)
{
    struct tm parts;
    time_t when = round * 100000;
    int number;
    double value;
    regex_t pattern;
    wchar_t wide[50];
    snprintf(text, sizeof(text), "%d %s %f %a %Lg %lc %-20.10s %*d %p", round, "x", round * .5,
             round * .3, (long double)round / 3, L'q', "abcdefghijkl", 7, round, (void *)text);
    sscanf("12 4.5e10 hello", "%d %lf %98s", &number, &value, text);
    gmtime_r(&when, &parts);
    strftime(text, sizeof(text), "%Y %B %c %Z", &parts);
    mktime(&parts);
    strtod("1.2345e-100", NULL);
    strtok(text, " ");
    strstr("hello world foo bar", "foo bar");
    swprintf(wide, 50, L"%d %ls", round, L"abc");
    regcomp(&pattern, "^([a-z]+)[0-9]*(foo|bar)?$", REG_EXTENDED);
    regexec(&pattern, "hello123foo", 0, NULL, 0);
    regfree(&pattern);
    setlocale(LC_ALL, "C");
    setenv("NAME", "value", 1);
}

static void files(void)
{
    glob_t found;
    FILE *file = fopen("/proc/self/stat", "r");
    fgets(text, sizeof(text), file);
    fclose(file);
    file = fopen("/dev/null", "w");
    for (int i = 0; i < 9; i++)
        fprintf(file, "%d %s\n", i, text);
    fwrite(from, 1, 3000, file);
    fclose(file);
    glob("/proc/self/*m*", 0, NULL, &found);
    globfree(&found);
}

static void others(int round)
{
    struct addrinfo *address = NULL;
    int status;
    pid_t child = vfork();
    if (!child)
        _exit(0);
    waitpid(child, &status, 0);
    getaddrinfo("127.0.0.1", "80", NULL, &address);
    freeaddrinfo(address);
    sin(round), pow(round, 1.1), exp(round * .01), fmod(round, 3), tgamma(2.5), erf(.3);
    if (!setjmp(place))
        longjmp(place, 1);
}

int main(void)
{
    raise(SIGUSR1);
    for (int round = 0;; round++) {
        texts(round);
        memory(round);
        files();
        others(round);
    }
}
