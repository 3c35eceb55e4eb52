#include "pombal_status.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "service/metrics.h"

static void print_process(const struct metrics_page *p)
{
    printf("%-14s %-12s %8d %8u %8u %10llu %8lld %7llu %7llu %5u%s\n", p->service, p->program,
           p->pid, p->sessions, p->limit, (unsigned long long)p->served,
           (long long)(clock_wall() - p->started), (unsigned long long)(p->longest_turn_us / 1000),
           (unsigned long long)(p->longest_turn_cpu_us / 1000), p->stack_used / 1024,
           p->draining ? " draining" : "");
}

static void print_counters(const struct metrics_page *p)
{
    for (uint32_t i = 0; i < p->ncounters; i++)
        printf("%-14s %-12s %8d %s %llu\n", p->service, p->program, p->pid, p->counters[i].name,
               (unsigned long long)p->counters[i].value);
}

static void each_page(int fd, void (*fn)(const struct metrics_page *))
{
    struct metrics_page *raw = mem_new(sizeof *raw), *page = mem_new(sizeof *page);

    for (off_t at = 0; pread(fd, raw, sizeof *raw, at) == (ssize_t)sizeof *raw; at += METRICS_PAGE)
        if (metrics_copy(raw, page))
            fn(page);
    free(raw);
    free(page);
}

void pombal_status_print(bool counters)
{
    /* fits: or is left out whole, and "" names no file */
    struct buf path = BUF(4096);

    buf_addf(&path, "%s/metrics", conf.data_directory);
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    buf_free(&path);
    if (fd < 0)
        return; /* not for this user's eyes */
    printf("%-14s %-12s %8s %8s %8s %10s %8s %7s %7s %5s\n", "service", "program", "pid", "clients",
           "limit", "served", "seconds", "turn-ms", "cpu-ms", "stack");
    each_page(fd, print_process);
    if (counters)
        each_page(fd, print_counters);
    close(fd);
}
