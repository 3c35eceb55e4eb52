/*
 * The watch over the loop. The timer is armed when a turn begins and is not armed yet, and runs out
 * once: a busy process pays one system call in each period, and one that sleeps is woken by it once
 * at most.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/msg.h"
#include "task/loop.h"

static struct {
    int64_t report_ms, limit_ms; /* 0: not */
    volatile bool armed;
    volatile unsigned turn; /* that the timer saw when it ran out last */
    volatile int64_t began; /* of that turn, or a little later: clock_ms */
    volatile bool reported;
} dog;

static void arm(int64_t ms)
{
    struct itimerval t = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};

    dog.armed = setitimer(ITIMER_REAL, &t, NULL) == 0;
}

/* How often to look: an eighth of the shorter limit, so a turn is noticed soon after it. */
static int64_t period(void)
{
    int64_t shorter = dog.report_ms;

    if (shorter == 0 || (dog.limit_ms != 0 && dog.limit_ms < shorter))
        shorter = dog.limit_ms;
    return shorter / 8 > 0 ? shorter / 8 : 1;
}

static void watchdog_say(const char *what, int64_t ms)
{
    const struct task *t = loop.self;

    msg_from_handler(what, t != NULL ? t->name : "the loop", ms / 1000);
}

static void look(int64_t now)
{
    int64_t took = now - dog.began;

    if (dog.limit_ms != 0 && took >= dog.limit_ms) {
        watchdog_say("fatal: watchdog: no other task was served for too long because of task",
                     took);
        signal(SIGABRT, SIG_DFL);
        abort();
    }
    if (dog.report_ms != 0 && took >= dog.report_ms && !dog.reported) {
        dog.reported = true;
        watchdog_say("warning: watchdog: no other task is served because of task", took);
    }
}

/* A signal handler: nothing but what is async-signal-safe. */
static void timer(int signo)
{
    int saved = errno;

    (void)signo;
    dog.armed = false;
    if (loop.in_turn) {
        int64_t now = clock_ms();
        if (dog.turn != loop.turn) {
            dog.turn = loop.turn;
            dog.began = now;
            dog.reported = false;
        }
        look(now);
        arm(period());
    }
    errno = saved;
}

void watchdog_turn(void)
{
    if (!dog.armed && (dog.report_ms != 0 || dog.limit_ms != 0))
        arm(period());
}

void task_watchdog(int64_t report_ms, int64_t limit_ms)
{
    struct sigaction act = {.sa_handler = timer, .sa_flags = SA_RESTART};

    sigemptyset(&act.sa_mask);
    dog.report_ms = report_ms;
    dog.limit_ms = limit_ms;
    if ((report_ms != 0 || limit_ms != 0) && sigaction(SIGALRM, &act, NULL) < 0)
        msg_warn("watchdog: %m");
    if (loop.in_turn)
        watchdog_turn();
}

void watchdog_forked(void)
{
    dog.armed = false; /* timers are not inherited */
    dog.report_ms = dog.limit_ms = 0;
}
