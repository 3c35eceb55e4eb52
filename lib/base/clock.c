#include "base/clock.h"

int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

int64_t clock_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ns(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

int64_t clock_tick_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return clock_ns(&t);
}

int64_t clock_wall(void)
{
    return clock_wall_us() / 1000000;
}

void clock_local(int64_t wall, struct tm *tm, int *offset_minutes)
{
    time_t t = (time_t)wall;
    localtime_r(&t, tm);
    if (offset_minutes != NULL)
        *offset_minutes = (int)(tm->tm_gmtoff / 60);
}

void clock_utc(int64_t wall, struct tm *tm)
{
    time_t t = (time_t)wall;
    gmtime_r(&t, tm);
}
