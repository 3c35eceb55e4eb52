/*
 * Stamps of connections that have ended while their process drained. RFC 1939 7: a pop3 client
 * answers to what the greeting said, and the greeting names the front's connection to authd, so
 * that nobody else can use the answer. A reload between the two must not refuse the login: for
 * login_timeout the next process takes the old name from the same front.
 */
#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"

#include "authd.h"

enum { SLOTS = 1024 };

struct slot {
    atomic_uint state; /* enum slot_state */
    pid_t client;
    int64_t until;
    char stamp[STAMP_MAX];
};

static struct {
    struct slot *slots;
} stamps;

size_t stamps_size(void)
{
    return SLOTS * sizeof *stamps.slots;
}

void stamps_open(void *shared)
{
    stamps.slots = shared;
}

static bool is_live(struct slot *s, int64_t now)
{
    return atomic_load(&s->state) == SLOT_LIVE && s->until > now;
}

void stamp_keep(const char *stamp, pid_t client, int64_t now)
{
    for (struct slot *s = stamps.slots; s < stamps.slots + SLOTS; s++) {
        if (is_live(s, now) ||
            !(slot_hold(&s->state, SLOT_FREE) || slot_hold(&s->state, SLOT_LIVE)))
            continue;
        s->client = client;
        s->until = now + conf.login_timeout * 1000;
        snprintf(s->stamp, sizeof s->stamp, "%s", stamp);
        atomic_store(&s->state, SLOT_LIVE);
        return;
    }
}

const char *stamp_find(struct str text, pid_t client, int64_t now, struct arena *mem)
{
    for (struct slot *s = stamps.slots; s < stamps.slots + SLOTS; s++)
        if (is_live(s, now) && s->client == client && str_starts(text, strz(s->stamp)))
            return arena_strz(mem, strz(s->stamp));
    return NULL;
}
