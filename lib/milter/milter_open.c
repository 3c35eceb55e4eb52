/*
 * The connection to a filter, and what is agreed on it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/msg.h"
#include "conf/conf.h"
#include "milter/milter_inside.h"
#include "net/dns.h"
#include "net/stream.h"
#include "task/task.h"

/* A name is looked up each time, since the filter may have moved. */
static bool connect_to(struct milter *m, int64_t deadline)
{
    const struct milter_entry *e = m->entry;
    struct why why = WHY;
    int fd = endpoint_connect(&e->at, dns_families(conf.inet_protocols), deadline, &why);

    if (fd >= 0)
        m->stream = stream_new(fd);
    else
        milter_fails(m, "connect to Milter service %s: %s", e->name, why_text(&why));
    why_free(&why);
    return fd >= 0;
}

static void put_offer(struct buf *out, const struct milter_terms *offered)
{
    size_t begin = milter_packet_begin(out, MILTER_NEGOTIATE);

    milter_put_number(out, offered->version);
    milter_put_number(out, offered->actions);
    milter_put_number(out, offered->habits);
    milter_packet_end(out, begin);
}

/* What it has not got is left out, so that no later code need ask for the version. */
static void agree(struct milter *m)
{
    struct milter_terms *t = &m->terms;

    if (t->version < 3)
        m->lacks |= MILTER_NO_UNKNOWN;
    if (t->version < 4)
        m->lacks |= MILTER_NO_DATA;
    if (m->entry->no_header_reply)
        t->habits |= MILTER_SILENT_HEADER;
}

static bool negotiate(struct milter *m, int64_t deadline)
{
    struct milter_terms offered = {.version = m->entry->version,
                                   .actions = MILTER_MAY_ALL,
                                   .habits = milter_habits_of(m->entry->version)};
    struct buf out = BUF(64); /* fits: five numbers */
    struct milter_said said;
    struct why why = WHY;

    put_offer(&out, &offered);
    bool good = milter_send(m, &out, "OPTNEG", deadline) &&
                milter_hear(m, "OPTNEG", deadline, &m->list_text, &said);
    if (good && milter_terms_parse(buf_str(&m->list_text), &offered, &m->terms, &why) < 0) {
        milter_fails(m, "%s", why_text(&why));
        good = false;
    }
    if (good)
        agree(m);
    buf_free(&out);
    why_free(&why);
    return good;
}

bool milter_open(struct milter *m)
{
    int64_t limit = m->entry->connect_ms;

    if (!connect_to(m, task_now() + limit) || !negotiate(m, task_now() + limit))
        return false;
    m->state = MILTER_ASKED;
    return true;
}

bool milter_send(struct milter *m, const struct buf *out, const char *event, int64_t deadline)
{
    if (!buf_ok(out)) {
        milter_fails(m, "SMFIC_%s is too long", event);
        return false;
    }
    stream_set_deadline(m->stream, deadline);
    stream_put(m->stream, buf_str(out));
    if (stream_flush(m->stream))
        return true;
    milter_fails(m, "can't write SMFIC_%s packet: %s", event, stream_error(m->stream));
    return false;
}

bool milter_hear(struct milter *m, const char *event, int64_t deadline, struct buf *packet,
                 struct milter_said *said)
{
    char head[4];
    struct why why = WHY;
    bool good = false;

    *said = (struct milter_said){.word = (enum milter_word)MILTER_NEGOTIATE};
    stream_set_deadline(m->stream, deadline);
    buf_clear(packet);
    if (stream_read(m->stream, head, sizeof head) < sizeof head) {
        milter_fails(m, "can't read SMFIC_%s reply packet header: %s", event,
                     stream_error(m->stream));
        return false;
    }
    uint32_t n = milter_length(head);
    char *to = n > 0 ? buf_room(packet, n) : NULL;
    if (to == NULL) {
        milter_fails(m, "bad packet length: %u", (unsigned)n);
    } else if (stream_read(m->stream, to, n) < n) {
        milter_fails(m, "can't read SMFIC_%s reply packet: %s", event, stream_error(m->stream));
    } else {
        buf_grown(packet, n);
        good =
            packet->p[0] == MILTER_NEGOTIATE || milter_said_parse(buf_str(packet), said, &why) == 0;
        if (!good)
            milter_fails(m, "%s after event SMFIC_%s", why_text(&why), event);
    }
    why_free(&why);
    return good;
}
