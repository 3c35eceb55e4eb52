#include "content.h"

#include "base/clock.h"
#include "base/str.h"
#include "mail/header.h"
#include "mail/path.h"

enum { HEADER_LIMIT = 4 * 1024 * 1024 };

int content_copy(struct job *job, content_fn *fn, void *arg, struct why *why)
{
    struct str body;
    enum rec type;

    if (qfile_seek(job->file, job->d.data_offset, why) < 0)
        return -1;
    while ((type = qfile_next(job->file, &body)) != REC_XTRA && type != REC_END) {
        if (type == REC_NORM || type == REC_CONT) {
            if (!fn(arg, body) || (type == REC_NORM && !fn(arg, STR("\n"))))
                return -1;
        } else if (type == REC_EOF || type == REC_BAD)
            return why_set(why, "4.3.0", "queue file %s is damaged", job->d.queue_id);
    }
    return 0;
}

static void add_address(struct buf *out, const char *field, const char *address, const char *open,
                        const char *close)
{
    buf_addf(out, "%s: %s", field, open);
    path_quote(strz(address), out);
    buf_addf(out, "%s\n", close);
}

void content_prepend(struct buf *out, const char *sender, const char *original,
                     const char *delivered)
{
    if (sender != NULL)
        add_address(out, "Return-Path", sender, "<", ">");
    if (*original != 0)
        add_address(out, "X-Original-To", original, "", "");
    if (*delivered != 0)
        add_address(out, "Delivered-To", delivered, "", "");
}

void content_from_line(struct buf *out, const char *sender, int64_t wall)
{
    static const char day[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;

    clock_local(wall, &tm, NULL);
    buf_addz(out, "From ");
    if (*sender == 0)
        buf_addz(out, "MAILER-DAEMON");
    else
        path_quote(strz(sender), out);
    buf_addf(out, "  %s %s %2d %02d:%02d:%02d %d\n", day[tm.tm_wday % 7], month[tm.tm_mon % 12],
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
}

/* The header of the message, without what follows. */
struct header_block {
    struct buf text;
    bool at_line_start;
};

static bool add_header(void *arg, struct str bytes)
{
    struct header_block *h = arg;

    if (h->at_line_start && (bytes.n == 0 || bytes.p[0] == '\n'))
        return bytes.n == 0;
    buf_add(&h->text, bytes);
    h->at_line_start = bytes.n > 0 && bytes.p[bytes.n - 1] == '\n';
    return buf_ok(&h->text);
}

struct hash *content_delivered_to(struct job *job)
{
    struct header_block h = {BUF(HEADER_LIMIT), true}; /* asked: by add_header, which then stops */
    struct buf address = BUF(HEADER_LIMIT); /* fits: a part of h.text */
    struct hash *found = hash_new();
    struct str value;
    size_t at = 0;

    content_copy(job, add_header, &h, NULL);
    while (header_find(buf_str(&h.text), "Delivered-To", &at, &value)) {
        buf_clear(&address);
        header_unfold(value, &address);
        str_lower(address.p, address.n);
        hash_put(found, str_trim(buf_str(&address)), job);
    }
    buf_free(&h.text);
    buf_free(&address);
    return found;
}

bool content_is_among(struct hash *delivered_to, const char *address)
{
    struct buf external = BUF(HEADER_LIMIT);

    path_quote(strz(address), &external);
    str_lower(external.p, external.n);
    bool found = buf_ok(&external) && hash_find(delivered_to, buf_str(&external)) != NULL;
    buf_free(&external);
    return found;
}

bool content_was_delivered_to(struct job *job, const char *address)
{
    struct hash *all = content_delivered_to(job);
    bool found = content_is_among(all, address);

    hash_free(&all, NULL);
    return found;
}
