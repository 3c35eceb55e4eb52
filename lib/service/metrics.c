#include "service/metrics.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/msg.h"

static_assert(sizeof(struct metrics_page) <= METRICS_PAGE, "a page holds it");

/* Shared with the processes that this one forks. They write it with plain stores: of two that are
 * written at once, one may be lost. */
struct worst {
    uint64_t turn_us, cpu_us, stack_used;
};

static struct {
    struct metrics_page *page;
    struct worst *worst;
    bool shared; /* page is of the file */
    uint64_t spill; /* what finds no place in the page is counted here, unseen */
} mine;

static struct metrics_page *map_page(int fd, int slot)
{
    void *p = mmap(NULL, METRICS_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                   (off_t)slot * METRICS_PAGE);
    if (p == MAP_FAILED) {
        msg_warn("metrics page %d: %m", slot);
        return mem_new(METRICS_PAGE);
    }
    memset(p, 0, METRICS_PAGE);
    return p;
}

static struct worst *map_worst(void)
{
    void *p =
        mmap(NULL, sizeof(struct worst), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? mem_new(sizeof(struct worst)) : p;
}

void metrics_open(int fd, int slot, const char *service, const char *program)
{
    struct metrics_page *p = fd >= 0 ? map_page(fd, slot) : mem_new(METRICS_PAGE);

    p->pid = getpid();
    p->started = clock_wall();
    snprintf(p->service, sizeof p->service, "%s", service);
    snprintf(p->program, sizeof p->program, "%s", program);
    p->version = METRICS_VERSION;
    mine.page = p;
    mine.shared = fd >= 0;
    if (mine.worst == NULL)
        mine.worst = map_worst();
}

static uint64_t larger(uint64_t *kept, uint64_t now)
{
    if (now > *kept)
        *kept = now;
    return *kept;
}

void metrics_worst(uint64_t turn_us, uint64_t cpu_us, size_t stack_used)
{
    struct metrics_page *p = metrics_mine();

    p->longest_turn_us = larger(&mine.worst->turn_us, turn_us);
    p->longest_turn_cpu_us = larger(&mine.worst->cpu_us, cpu_us);
    p->stack_used = (uint32_t)larger(&mine.worst->stack_used, stack_used);
}

void metrics_forked(void)
{
    struct metrics_page *p = mine.page;

    if (p == NULL)
        return;
    bool shared = mine.shared;
    metrics_open(-1, -1, p->service, p->program);
    if (shared)
        munmap(p, METRICS_PAGE);
}

struct metrics_page *metrics_mine(void)
{
    if (mine.page == NULL)
        metrics_open(-1, -1, "", "");
    return mine.page;
}

uint64_t *metrics_counter(const char *name)
{
    struct metrics_page *p = metrics_mine();

    for (uint32_t i = 0; i < p->ncounters; i++)
        if (strcmp(p->counters[i].name, name) == 0)
            return &p->counters[i].value;
    if (p->ncounters == METRICS_COUNTERS || strlen(name) >= METRICS_NAME)
        return &mine.spill;
    struct metrics_counter *c = &p->counters[p->ncounters++];
    snprintf(c->name, sizeof c->name, "%s", name);
    return &c->value;
}

/* Only what names are made of; the page's owner may be an intruder. */
static void clean(char *text, size_t size)
{
    text[size - 1] = 0;
    for (char *c = text; *c != 0; c++)
        if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?';
}

bool metrics_copy(const struct metrics_page *from, struct metrics_page *to)
{
    memcpy(to, from, sizeof *to);
    if (to->version != METRICS_VERSION || to->pid <= 0)
        return false;
    clean(to->service, sizeof to->service);
    clean(to->program, sizeof to->program);
    if (to->ncounters > METRICS_COUNTERS)
        to->ncounters = METRICS_COUNTERS;
    for (uint32_t i = 0; i < to->ncounters; i++)
        clean(to->counters[i].name, METRICS_NAME);
    return true;
}
