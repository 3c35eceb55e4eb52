/* metrics.h - counters in a page that pombal status and exporters read without asking anybody */
#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * master keeps the file data_directory/metrics: a page per process. It gives each new process a
 * page of the file whose disk space is already allocated; the process counts there with plain
 * stores. A process without master, or started while the disk was full, counts in memory of its
 * own. The reader trusts nothing in a page but its size.
 */
enum { METRICS_PAGE = 4096, METRICS_COUNTERS = 60, METRICS_NAME = 48 };

struct metrics_counter {
    char name[METRICS_NAME]; /* "messages_delivered"; lower case and underlines */
    uint64_t value;
};

struct metrics_page {
    uint32_t version; /* METRICS_VERSION; 0: free */
    int32_t pid;
    int64_t started; /* wall seconds */
    char service[64]; /* as in master.cf */
    char program[32];
    uint32_t sessions; /* now */
    uint32_t limit; /* at a time */
    uint32_t draining; /* 1: no new ones */
    uint32_t ncounters;
    uint64_t served; /* sessions and requests since the start */
    /* The longest turn of the loop, that is, the longest that a client waited for another one, here
     * or in a forked session. More than 100 ms of CPU time is a bug: t/e2e checks it. */
    uint64_t longest_turn_us, longest_turn_cpu_us;
    uint32_t stack_used, stack_size; /* bytes of the deepest stack of a task: see task.h */
    struct metrics_counter counters[METRICS_COUNTERS];
};
enum { METRICS_VERSION = 2 };

/* Where to count; found once, at start: uint64_t *delivered = metrics_counter("delivered");
 * ++*delivered; Never null: when the page is full, counters share an unnamed one. */
uint64_t *metrics_counter(const char *name);

/* For service.c: use page number slot of the open file fd (both -1: private memory). */
void metrics_open(int fd, int slot, const char *service, const char *program);
struct metrics_page *metrics_mine(void);
/* In a forked child: lets go of the parent's page; from now on memory of its own, but for what
 * metrics_worst says. */
void metrics_forked(void);
/* At the end of each turn: how long it was, and the deepest stack so far. The page has the worst of
 * this process and of all that it has forked, since sessions have no page. */
void metrics_worst(uint64_t turn_us, uint64_t cpu_us, size_t stack_used);

/* For readers: a copy with all text ended and all counts in bounds; false if the page is free. */
bool metrics_copy(const struct metrics_page *from, struct metrics_page *to);

#endif
