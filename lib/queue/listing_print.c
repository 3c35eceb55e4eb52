/*
 * The queue for people (mailq) and for programs (JSON).
 */
#include "base/clock.h"
#include "base/str.h"
#include "queue/listing.h"

enum { REASON_END = 78 };

void listing_print_begin(bool long_ids, struct buf *out)
{
    buf_addz(out, long_ids
                      ? "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
                      : "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n");
}

/* "Mon Nov 23 01:25:22", in the language of ctime(3). */
static void put_time(int64_t wall, struct buf *out)
{
    char text[40];
    struct tm tm;

    clock_local(wall, &tm, NULL);
    size_t n = strftime(text, sizeof text, "%a %b %e %H:%M:%S", &tm);
    buf_add(out, (struct str){text, n});
}

/* Control characters of outside text must not reach a terminal. */
static void put_clean(const char *text, struct buf *out)
{
    for (; *text != 0; text++)
        buf_addc(out, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static void put_reason(const char *reason, struct buf *out)
{
    int blanks = REASON_END - 2 - (int)strlen(reason);

    buf_addf(out, "%*s(", blanks > 0 ? blanks : 0, "");
    put_clean(reason, out);
    buf_addz(out, ")\n");
}

void listing_print(const struct listed *m, bool long_ids, struct buf *out)
{
    struct buf id = BUF_TEXT(200);
    const char *last = "";

    put_clean(m->id, &id);
    if (strcmp(m->queue, "active") == 0)
        buf_addc(&id, '*');
    else if (strcmp(m->queue, "hold") == 0)
        buf_addc(&id, '!');
    if (m->forced_expire)
        buf_addc(&id, '#');
    buf_addf(out, long_ids ? "%-17s %8lld " : "%-11s %7lld ", id.p, (long long)m->size);
    put_time(m->arrival, out);
    buf_addz(out, long_ids ? " " : "  ");
    put_clean(m->sender, out);
    buf_addc(out, '\n');
    for (size_t i = 0; i < m->nrcpts; i++) {
        const struct listed_rcpt *r = &m->rcpts[i];
        if (*r->reason != 0 && strcmp(r->reason, last) != 0)
            put_reason(r->reason, out);
        last = r->reason;
        buf_addf(out, "%*s", long_ids ? 47 : 41, "");
        put_clean(r->address, out);
        buf_addc(out, '\n');
    }
    buf_addc(out, '\n');
    buf_free(&id);
}

static void put_json_string(const char *text, struct buf *out)
{
    static const char escapes[] = "\bb\ff\nn\rr\tt\"\"\\\\";

    buf_addc(out, '"');
    for (; *text != 0; text++) {
        const char *e = escapes;
        while (*e != 0 && *e != *text)
            e += 2;
        if (*e != 0)
            buf_addf(out, "\\%c", e[1]);
        else if ((unsigned char)*text < ' ')
            buf_addf(out, "\\u%04X", (unsigned)(unsigned char)*text);
        else
            buf_addc(out, *text);
    }
    buf_addc(out, '"');
}

void listing_print_json(const struct listed *m, struct buf *out)
{
    buf_addz(out, "{\"queue_name\": ");
    put_json_string(m->queue, out);
    buf_addz(out, ", \"queue_id\": ");
    put_json_string(m->id, out);
    buf_addf(out, ", \"arrival_time\": %lld, \"message_size\": %lld, \"forced_expire\": %s",
             (long long)m->arrival, (long long)m->size, m->forced_expire ? "true" : "false");
    buf_addz(out, ", \"sender\": ");
    put_json_string(m->sender, out);
    buf_addz(out, ", \"recipients\": [");
    for (size_t i = 0; i < m->nrcpts; i++) {
        buf_addz(out, i > 0 ? ", {\"address\": " : "{\"address\": ");
        put_json_string(m->rcpts[i].address, out);
        if (*m->rcpts[i].reason != 0) {
            buf_addz(out, ", \"delay_reason\": ");
            put_json_string(m->rcpts[i].reason, out);
        }
        buf_addc(out, '}');
    }
    buf_addz(out, "]}\n");
}
